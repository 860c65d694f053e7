package apiserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that the tests have started. It ends with them.
type process struct {
	cmd *exec.Cmd
	// log is the file that it writes to.
	log string
	// ended is closed once it has.
	ended chan struct{}
}

// startProcess starts a program of which the log gets name.log in dir.
func startProcess(dir, name, path string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// kill ends the process without a chance to say goodbye.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// terminate asks the process to end, and kills it if it does not within d. It tells
// whether it ended by itself.
func (p *process) terminate(d time.Duration) bool {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		p.kill()
		return false
	}
}

// alive returns an error with the log's end if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s\n%s", filepath.Base(p.cmd.Path), p.cmd.ProcessState, p.tail())
	default:
		return nil
	}
}

// text returns the whole log.
func (p *process) text() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail returns the last part of the log.
func (p *process) tail() string {
	const most = 8 << 10
	text := p.text()
	return text[max(0, len(text)-most):]
}

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// await tries until it gets no error.
func await(t testing.TB, what string, try func() error) {
	t.Helper()
	awaitFor(t, patience, what, try)
}

// awaitFor is await for what may take longer.
func awaitFor(t testing.TB, within time.Duration, what string, try func() error) {
	t.Helper()
	var err error
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s, not within %v: %v", what, within, err)
}

// atLeast returns an error if n is less than want.
func atLeast(n, want int64) error {
	if n < want {
		return fmt.Errorf("%d, want at least %d", n, want)
	}
	return nil
}

// mentions returns an error unless a text has each of the words.
func mentions(text string, words ...string) error {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return fmt.Errorf("no %q in:\n%s", w, text)
		}
	}
	return nil
}
