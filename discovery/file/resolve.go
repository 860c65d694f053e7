package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links one path may lead through, as on Linux.
const maxLinks = 40

// resolve follows rel from base, a folder that has no symbolic link in its path,
// and returns the path without links. It calls step with the path of every folder,
// link and file that it comes through, before it looks there: a watcher has to see
// when any of them is exchanged, and one that is missing when it appears.
func resolve(base, rel string, step func(path string)) (string, error) {
	sep := string(filepath.Separator)
	at, rest, links := base, strings.Split(rel, sep), 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		step(next)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: more than %d symbolic links", filepath.Join(base, rel), maxLinks)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at, target = top(target), strings.TrimPrefix(target, top(target))
		}
		rest = append(strings.Split(target, sep), rest...)
	}
	return at, nil
}

// top returns the root of the file system that an absolute path begins with.
func top(path string) string {
	return filepath.VolumeName(path) + string(filepath.Separator)
}
