//go:build unix

package accesslog

import (
	"os"
	"syscall"
)

// nameless tells whether a file has been removed.
func nameless(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Nlink == 0
}
