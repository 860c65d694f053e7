package tls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds what is read of a file: large revocation lists fit.
const maxFile = 32 << 20

// file is one file as it was read last.
type file struct {
	path string
	// info is what was seen of it before it was read; nil where it is not there.
	info fs.FileInfo
	data []byte
	err  error
	// version grows when data or err changes.
	version uint64
	// generation is the last Update that wanted it.
	generation uint64
}

// files are those that the configuration names. The Store's mutex guards them.
type files struct {
	byPath  map[string]*file
	version uint64
}

// open returns a file, which is read if it is new.
func (f *files) open(path string, generation uint64) *file {
	path = filepath.Clean(path)
	e := f.byPath[path]
	if e == nil {
		e = &file{path: path}
		f.byPath[path] = e
		f.read(e)
	}
	e.generation = generation
	return e
}

// read reads a file again, and tells whether it has changed.
func (f *files) read(e *file) bool {
	info, data, err := readFile(e.path)
	e.info = info
	if e.version > 0 && bytes.Equal(data, e.data) && sameError(err, e.err) {
		return false
	}
	f.version++
	e.data, e.err, e.version = data, err, f.version
	return true
}

// reread reads the files again that are suspected to have changed.
func (f *files) reread(suspect func(*file) bool) {
	for _, e := range f.byPath {
		if suspect(e) {
			f.read(e)
		}
	}
}

// moved tells whether a file looks other than when it was read, or could not be read.
func (e *file) moved() bool {
	if e.err != nil {
		return true
	}
	info, err := os.Stat(e.path)
	return err != nil || !os.SameFile(info, e.info) || info.Size() != e.info.Size() || !info.ModTime().Equal(e.info.ModTime())
}

// drop forgets the files that were not wanted since a generation.
func (f *files) drop(generation uint64) {
	for path, e := range f.byPath {
		if e.generation < generation {
			delete(f.byPath, path)
		}
	}
}

func readFile(path string) (fs.FileInfo, []byte, error) {
	// A pipe or a device could make opening it wait.
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return info, nil, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return info, nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return info, nil, reason(err)
	case len(data) > maxFile:
		return info, nil, fmt.Errorf("is larger than %d MB", maxFile>>20)
	}
	return info, data, nil
}

// reason says what is wrong with a file, without its path.
func reason(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("does not exist")
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("cannot be read: %w", pe.Err)
	}
	return fmt.Errorf("cannot be read: %w", err)
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}
