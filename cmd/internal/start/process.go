package start

import (
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// memoryShare is the part of a container's memory that the Go heap may take.
const memoryShare = 0.9

// Process sets the process up for a life as a proxy.
//
// It tells the Go runtime how much memory the control group allows, unless GOMEMLIMIT
// does, so that it collects harder before the kernel kills the process. (The number of
// processors needs no such help: the runtime looks at the control group itself.) And it
// survives that whoever reads its output goes: by default that ends a Go program.
func Process() {
	signal.Ignore(syscall.SIGPIPE)
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := memoryLimit("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

// memoryLimit reads the first of the files that holds a limit; 0 where none does.
func memoryLimit(files ...string) int64 {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		// Version 1 of control groups writes no limit as one beyond all memory.
		if err == nil && n > 0 && n < math.MaxInt64/2 {
			return int64(float64(n) * memoryShare)
		}
	}
	return 0
}
