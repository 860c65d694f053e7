package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// attach is how long strace may take to attach, and to write what it counted.
const attach = 10 * time.Second

// SystemCalls counts the system calls that processes and all below them make during what is
// done, with strace, which slows them down several times. It returns the number for each of the
// requests that were answered, those to wait for something included, and the same by name.
// Without strace, or where it must not attach, the error says so.
func SystemCalls(ctx context.Context, pids []int, during func() (requests int, err error)) (perRequest float64, byName map[string]float64, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return 0, nil, errors.New("system calls are not counted: strace is not installed (test/install-tools.sh does that)")
	}
	dir, err := os.MkdirTemp("", "strace-")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	summary := filepath.Join(dir, "summary")
	args := []string{"-f", "-c", "-o", summary}
	all, err := family(pids)
	if err != nil {
		return 0, nil, err
	}
	for _, pid := range all {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	tracer := exec.CommandContext(ctx, strace, args...)
	tracer.Cancel = func() error { return tracer.Process.Signal(os.Interrupt) } // it must detach
	tracer.WaitDelay = attach
	var told bytes.Buffer
	tracer.Stderr = &told
	if err := tracer.Start(); err != nil {
		return 0, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- tracer.Wait() }()
	stop := func() {
		tracer.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(attach):
			tracer.Process.Kill()
		}
	}
	if err := traced(pids, ended); err != nil {
		stop()
		return 0, nil, fmt.Errorf("system calls are not counted: %w: %s", err, bytes.TrimSpace(told.Bytes()))
	}
	requests, err := during()
	stop()
	if err != nil {
		return 0, nil, err
	}
	if requests <= 0 {
		return 0, nil, errors.New("system calls are not counted: no request was answered")
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		return 0, nil, err
	}
	calls, err := parseSummary(string(text))
	if err != nil {
		return 0, nil, err
	}
	byName = make(map[string]float64, len(calls))
	for name, n := range calls {
		byName[name] = float64(n) / float64(requests)
		perRequest += byName[name]
	}
	return perRequest, byName, nil
}

// traced waits until all processes are traced.
func traced(pids []int, ended <-chan error) error {
	deadline := time.After(attach)
	for _, pid := range pids {
		for !isTraced(pid) {
			select {
			case err := <-ended:
				return fmt.Errorf("strace ended: %v", err)
			case <-deadline:
				return fmt.Errorf("strace did not attach to process %d within %s", pid, attach)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

func isTraced(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, after, found := strings.Cut(string(text), "TracerPid:")
	line, _, _ := strings.Cut(after, "\n")
	return found && strings.TrimSpace(line) != "0"
}

// parseSummary reads the table of strace -c: per cent, seconds, microseconds a call, calls,
// errors if any, name.
func parseSummary(text string) (map[string]int, error) {
	calls := map[string]int{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			calls[f[len(f)-1]] = n
		}
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("strace counted no system call: %.200q", text)
	}
	return calls, nil
}
