package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Resident returns the memory that processes and all below them hold, in bytes. What they share
// with each other counts once: as much as that of them has which shares most. What they share with
// processes that are none of them counts in full, so that nothing depends on what else runs; but
// where the kernel does not tell the two apart, all counts in full for each (VmRSS).
func Resident(pids []int) (int64, error) {
	all, err := family(pids)
	if err != nil {
		return 0, err
	}
	own, shared := int64(0), int64(0)
	for _, pid := range all {
		o, s, err := resident(pid)
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)) && !slices.Contains(pids, pid) {
			continue // a child that ended meanwhile
		}
		if err != nil {
			return 0, fmt.Errorf("the memory of process %d: %w", pid, err)
		}
		own += o
		shared = max(shared, s)
	}
	return own + shared, nil
}

// resident returns what a process has for itself, and what it shares.
func resident(pid int) (own, shared int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		own, err = kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
		return own, 0, err
	}
	for line := range strings.Lines(string(text)) {
		switch name, n, err := value(line); {
		case err != nil:
			return 0, 0, err
		case strings.HasPrefix(name, "Private_"):
			own += n
		case strings.HasPrefix(name, "Shared_"):
			shared += n
		}
	}
	return own, shared, nil
}

// value reads a line of a file of /proc, "Name: 1 kB"; others have no name.
func value(line string) (name string, bytes int64, err error) {
	f := strings.Fields(line)
	if len(f) != 3 || f[2] != "kB" {
		return "", 0, nil
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return f[0], n << 10, err
}

// kilobytes returns the value, in bytes, of a line of a file of /proc.
func kilobytes(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if got, n, err := value(line); got == name {
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no line %s", file, name)
}
