package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// moduleFolder returns the folder of the load test's module, from wherever in it this runs.
func moduleFolder(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || filepath.Base(file) != "go.mod" {
		return "", fmt.Errorf("go env GOMOD says %q (%v): run this in the folder loadtest", file, err)
	}
	return filepath.Dir(file), nil
}

// goBuild builds a package of the module in dir as a release is built: static, without paths and
// symbols.
func goBuild(ctx context.Context, dir, output, pkg string, flags ...string) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", output}, flags...)
	return goTool(ctx, dir, append(args, pkg)...)
}

// goTool runs go in a folder.
func goTool(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		if len(out) > 4000 {
			out = out[len(out)-4000:]
		}
		return errors.New(strings.TrimSpace(fmt.Sprintf("go %s in %s: %v\n%s", args[0], dir, err, out)))
	}
	return nil
}
