package file

import (
	"path/filepath"
	"strings"
)

// skipped says whether a name in a folder is never configuration: hidden files and
// folders (with them Vim's .x.swp, Emacs's .#x, the ..data of a mounted ConfigMap)
// and what editors leave behind (x~, #x#).
func skipped(name string) bool {
	return name == "" || name[0] == '.' || name[0] == '#' ||
		strings.HasSuffix(name, "~") || strings.HasSuffix(name, "#")
}

// isConfig says whether a file of this name holds configuration.
func isConfig(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return !skipped(name)
	}
	return false
}
