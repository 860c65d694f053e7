package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// patience bounds how long the browser may take for a call, and a page to become as expected.
const patience = 60 * time.Second

// Chromium is a browser without a window. Its tabs share nothing but the process.
type Chromium struct {
	cmd   *exec.Cmd
	out   io.WriteCloser
	ended chan struct{} // closed when the browser says no more

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	tabs    map[string]*Tab
}

// message is one of the DevTools protocol: a call, its answer, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts the browser with a profile of its own in dir. It speaks over a pipe: there is no
// port that somebody else could open.
func Start(path, dir string) (*Chromium, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	answers, told, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), ours.Close())
	}
	c := &Chromium{out: ours, ended: make(chan struct{}), waiting: map[int]chan message{}, tabs: map[string]*Tab{}}
	c.cmd = exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+dir, "about:blank")
	c.cmd.ExtraFiles = []*os.File{theirs, told} // 3 and 4, as the browser expects them
	err = c.cmd.Start()
	theirs.Close()
	told.Close()
	if err != nil {
		return nil, errors.Join(err, ours.Close(), answers.Close())
	}
	go c.read(answers)
	return c, nil
}

// Close ends the browser.
func (c *Chromium) Close() {
	// It may be gone by the time it would answer.
	_ = c.call("", "Browser.close", nil, nil)
	ended := time.AfterFunc(5*time.Second, func() { c.cmd.Process.Kill() })
	_ = c.cmd.Wait()
	ended.Stop()
	c.out.Close()
	<-c.ended
}

// read takes what the browser says: messages that each end with a zero byte.
func (c *Chromium) read(answers io.ReadCloser) {
	defer close(c.ended)
	defer answers.Close()
	in := bufio.NewReaderSize(answers, 1<<20)
	for {
		line, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m) != nil {
			continue
		}
		c.mu.Lock()
		answered, tab := c.waiting[m.ID], c.tabs[m.Session]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case answered != nil:
			answered <- m
		case tab != nil:
			tab.take(m)
		}
	}
}

// call asks the browser, or one tab by its session, and waits for the answer.
func (c *Chromium) call(session, method string, params, result any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	if params == nil {
		text = []byte("{}")
	}
	answered := make(chan message, 1)
	c.mu.Lock()
	c.last++
	m := message{ID: c.last, Session: session, Method: method, Params: text}
	c.waiting[m.ID] = answered
	line, _ := json.Marshal(m)
	_, err = c.out.Write(append(line, 0))
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a := <-answered:
		if a.Error != nil {
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-c.ended:
		return fmt.Errorf("%s: the browser has ended", method)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer within %v", method, patience)
	}
}
