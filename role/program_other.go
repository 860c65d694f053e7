//go:build !linux

package role

// releaseProgram does nothing: only Linux is told which pages are not needed any more.
func releaseProgram() error { return nil }
