package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// pinned names the environment variable that a process which is pinned has: the processors that
// there are for works that are not.
const pinned = "SLUICE_LOADTEST_CPUS"

// missingPeers names the variable with the peers of which such a process need not look again why
// they are missing.
const missingPeers = "SLUICE_LOADTEST_MISSING"

// pin begins this program anew where the load is to run, so that the generator, and the tools
// that it starts, leave the proxy's processor alone. It returns where that is so already, or
// where there is one processor for all.
func (s *settings) pin(missing []string) error {
	if os.Getenv(pinned) != "" || s.loadCPUs == "" {
		return nil
	}
	if runtime.NumCPU() < 2 {
		fmt.Fprintln(os.Stderr, "there is one processor: the load takes part of what the proxies have")
		s.proxyCPUs, s.loadCPUs = "", ""
		return nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return fmt.Errorf("the load cannot be kept off the proxy's processor: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env := append(os.Environ(), fmt.Sprintf("%s=0-%d", pinned, runtime.NumCPU()-1), missingPeers+"="+strings.Join(missing, ","))
	return syscall.Exec(taskset, append([]string{"taskset", "-c", s.loadCPUs, self}, os.Args[1:]...), env)
}
