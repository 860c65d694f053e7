package role

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare is the part of a container's memory that the Go heap may take.
const memoryShare = 0.9

// LimitMemory tells the Go runtime how much memory the process's control group may
// use, so that it collects harder before the kernel kills the process. It returns the
// limit that it set, in bytes; 0 where GOMEMLIMIT is given already or there is none. It
// is for a program whose only work is to be a proxy. (The number of processors needs
// no such help: the runtime looks at the control group itself.)
func LimitMemory() int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	limit := memoryLimit("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
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
