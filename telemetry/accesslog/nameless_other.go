//go:build !unix

package accesslog

import "os"

// nameless tells whether a file has been removed, which an open one cannot be.
func nameless(os.FileInfo) bool { return false }
