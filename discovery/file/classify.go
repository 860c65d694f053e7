package file

import (
	"os"
	"path/filepath"
)

// effect is how much an event may have changed.
type effect int

const (
	nothing effect = iota
	// file: one file's text.
	file
	// everything: which files there are.
	everything
)

// classify says what an event means. Its path has no symbolic link, since that is
// how folders are watched.
func (w *watcher) classify(path string, replaced bool) effect {
	if _, watched := w.watched[path]; watched && replaced {
		// The watch may have ended, or sit on a folder that is now elsewhere.
		w.unwatch(path)
		return everything
	}
	if e := w.tree.files[path]; e != nil {
		if e.linked && replaced {
			return everything
		}
		return file
	}
	if _, listed := w.tree.folders[path]; listed || w.tree.trail[path] {
		return everything
	}
	_, listed := w.tree.folders[filepath.Dir(path)]
	if !listed || skipped(filepath.Base(path)) {
		return nothing
	}
	return classifyNew(path)
}

// classifyNew says what it means that a path has appeared in a listed folder.
func classifyNew(path string) effect {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nothing
	case info.IsDir(), info.Mode()&os.ModeSymlink != 0:
		return everything
	case info.Mode().IsRegular() && isConfig(filepath.Base(path)):
		return file
	}
	return nothing
}
