package peer

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

// process is a running program, with its output in a file.
type process struct {
	cmd    *exec.Cmd
	output string
	done   chan struct{}
}

// startProcess starts a program on processors of its own. Its standard output goes to the
// file stdout in dir, where HAProxy's access log is, and its standard error to one of its own.
func startProcess(cpus, dir string, env []string, binary string, args []string) (*process, error) {
	line := append([]string{binary}, args...)
	if cpus != "" {
		line = append([]string{"taskset", "-c", cpus}, line...)
	}
	p := &process{cmd: exec.Command(line[0], line[1:]...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Dir = dir
	// It goes when this program does, however that ends.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	errors, err := os.CreateTemp(dir, filepath.Base(binary)+"-*.stderr")
	if err != nil {
		return nil, err
	}
	defer errors.Close()
	out, err := os.OpenFile(filepath.Join(dir, "stdout"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.output = errors.Name()
	p.cmd.Stdout, p.cmd.Stderr = out, errors
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", line[0], err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended tells that the program is no more.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the program, which has a moment for it.
func (p *process) stop() {
	own := children(p.pid())
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
		p.cmd.Process.Kill()
		for _, pid := range own {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		<-p.done
	}
}

// tail is the end of what the program has written.
func (p *process) tail() string {
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	if len(text) > 4000 {
		text = text[len(text)-4000:]
	}
	return string(bytes.TrimSpace(text))
}

// children are the processes that a process has started.
func children(pid int) (pids []int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	for _, f := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(f); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// freeAddresses returns addresses of loopback that nobody listens at.
func freeAddresses(n int) (addrs []string) {
	for range n {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", freeport.Take()))
	}
	return addrs
}

// files is how many open files a proxy should be allowed: two for each of 10,000 connections,
// and as many again, since Sluice uses half of what there is for connections.
const files = 65536

// raiseFiles raises the limit of open files, which is inherited, as far as it may.
func raiseFiles() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur >= files {
		return
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: max(limit.Max, files)}) != nil {
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit.Max, Max: limit.Max})
	}
}
