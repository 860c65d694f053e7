package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// RemoveStale removes the unix socket that a killed process left behind at a path: one at which nobody
// answers. With it in the way, no process could listen there again. Whatever else is at the path stays.
func RemoveStale(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
}
