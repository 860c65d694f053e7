package peer

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// omission leaves a folder of a module out, with all that is in it, and puts a package of ours
// there, which a folder of the building module has. go has no overlays for modules that it has
// downloaded, so the module is copied.
type omission struct{ module, folder, ours string }

// prepare makes the copy in scratch and returns a go.mod that leads to it, for -modfile.
func (o omission) prepare(ctx context.Context, dir, scratch string) (file string, err error) {
	if err := goTool(ctx, dir, "mod", "download", o.module); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", o.module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", o.module, err)
	}
	target := filepath.Join(scratch, "copy")
	if err := o.copy(strings.TrimSpace(string(out)), target); err != nil {
		return "", err
	}
	if err := os.CopyFS(filepath.Join(target, o.folder), os.DirFS(filepath.Join(dir, o.ours))); err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return "", err
	}
	file = filepath.Join(scratch, "go.mod")
	if err := os.WriteFile(file, fmt.Appendf(mod, "\nreplace %s => %s\n", o.module, target), 0o644); err != nil {
		return "", err
	}
	return file, os.WriteFile(filepath.Join(scratch, "go.sum"), sum, 0o644)
}

// copy copies a module but for the folder.
func (o omission) copy(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name == o.folder:
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
}
