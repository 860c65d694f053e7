//go:build unix

package role

import "syscall"

// descriptorLimit returns how many descriptors the process may have: the hard limit, to
// which the Go runtime raises the soft one at start. 0 means unknown.
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return uint64(l.Cur)
}
