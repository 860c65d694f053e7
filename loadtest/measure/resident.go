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

// Resident returns the memory that processes and all below them hold, in bytes: what several
// share counts in parts (Pss), but where the kernel does not say that, in full for each (VmRSS).
func Resident(pids []int) (int64, error) {
	all, err := family(pids)
	if err != nil {
		return 0, err
	}
	sum := int64(0)
	for _, pid := range all {
		n, err := resident(pid)
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)) && !slices.Contains(pids, pid) {
			continue // a child that ended meanwhile
		}
		if err != nil {
			return 0, fmt.Errorf("the memory of process %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

func resident(pid int) (int64, error) {
	n, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
	if err != nil {
		n, err = kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	}
	return n, err
}

// kilobytes returns the value, in bytes, of a line of a file of /proc.
func kilobytes(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no line %s", file, name)
}
