package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is the processor time of processes since they began.
type Usage struct {
	// Total is exact to the nanosecond as long as no child has ended, whose time is in
	// ticks.
	Total time.Duration
	// User and System are in ticks of 10 ms, so that they say something over seconds only, and
	// may add up to a little less or more.
	User, System time.Duration
}

// tick is the unit of /proc/PID/stat: USER_HZ, which is 100 on all of Linux's architectures that
// Go knows.
const tick = 10 * time.Millisecond

// Processor returns the processor time of processes, and of all below them: of threads that
// live and of those that are gone, of children that live and of those that were waited for.
// The error says which process is gone.
func Processor(pids []int) (Usage, error) {
	var u Usage
	all, err := family(pids)
	if err != nil {
		return u, err
	}
	for _, pid := range all {
		one, err := processor(pid)
		if errors.Is(err, fs.ErrNotExist) && !slices.Contains(pids, pid) {
			continue // a child that ended meanwhile
		}
		if err != nil {
			return u, fmt.Errorf("the processor time of process %d: %w", pid, err)
		}
		u.Total += one.Total
		u.User += one.User
		u.System += one.System
	}
	return u, nil
}

func processor(pid int) (Usage, error) {
	fields, err := stat(pid)
	if err != nil {
		return Usage{}, err
	}
	var ticks [4]time.Duration // utime, stime, cutime, cstime: fields 14 to 17 of proc(5)
	for i := range ticks {
		n, err := strconv.ParseInt(fields[14-3+i], 10, 64)
		if err != nil {
			return Usage{}, err
		}
		ticks[i] = time.Duration(n) * tick
	}
	// The clock of a process's threads, dead ones included: CPUCLOCK_SCHED of
	// MAKE_PROCESS_CPUCLOCK in Linux's posix-timers.h, as clock_getcpuclockid(3) has it.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		if err == unix.EINVAL { // there is no such process
			err = fs.ErrNotExist
		}
		return Usage{}, err
	}
	return Usage{
		Total:  time.Duration(ts.Nano()) + ticks[2] + ticks[3],
		User:   ticks[0] + ticks[2],
		System: ticks[1] + ticks[3],
	}, nil
}

// stat returns the fields of /proc/PID/stat from the third on: what is before may hold anything.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, unix.ESRCH) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields)+2)
	}
	return fields, nil
}

// family returns the processes and all below them, each once.
func family(pids []int) ([]int, error) {
	var all []int
	todo := slices.Clone(pids)
	for len(todo) > 0 {
		pid := todo[0]
		todo = todo[1:]
		if slices.Contains(all, pid) {
			continue
		}
		all = append(all, pid)
		// Each thread has its own children.
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // the thread has ended
			}
			for _, s := range strings.Fields(string(text)) {
				child, err := strconv.Atoi(s)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", file, err)
				}
				todo = append(todo, child)
			}
		}
	}
	return all, nil
}
