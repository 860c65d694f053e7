package role

import (
	"bufio"
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// releaseProgram gives the pages of the program itself back that the start has brought in: the
// code of its flags, its registries of types and its first load is never run again, and counts
// as memory of this process for as long as it is mapped. What is needed again comes back from
// the page cache, 64 KB with each fault.
func releaseProgram() error {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	mappings, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	for _, m := range unchanged(mappings, path) {
		// The program is no Go memory: there is no slice of it to hand to a wrapper.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// unchanged returns the mappings of a file in the text of /proc/PID/smaps (proc_pid_smaps(5))
// that are not writable and of which no page differs from the file: the others hold what the
// file has not, such as relocations and a debugger's breakpoints.
func unchanged(smaps []byte, path string) (all []mapping) {
	var m mapping
	candidate := false
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		line := lines.Text()
		var from, to uintptr
		var mode, offset, device, inode, name string
		if n, _ := fmt.Sscanf(line, "%x-%x %4s %s %s %s %s", &from, &to, &mode, &offset, &device, &inode, &name); n >= 6 {
			m, candidate = mapping{from, to}, name == path && mode[0] == 'r' && mode[1] == '-'
			continue
		}
		var kilobytes int
		if n, _ := fmt.Sscanf(line, "Anonymous: %d kB", &kilobytes); n == 1 && candidate && kilobytes == 0 {
			all = append(all, m)
		}
	}
	return all
}
