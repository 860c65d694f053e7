package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
)

func TestLoadFilesAndFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sub/a.yaml"), objects("a=1"))
	write(t, filepath.Join(dir, "b.txt"), objects("b=1")+"---\n"+broken)
	if got := loaded(t, filepath.Join(dir, "sub"), filepath.Join(dir, "b.txt")); got != "a=1 b=1" {
		t.Errorf("Load gave %q", got)
	}
	d, err := Load(filepath.Join(dir, "b.txt"))
	if err != nil || len(d.Set) != 1 || len(d.Conditions) != 1 || d.Conditions[0].Reason != config.BadYAML {
		t.Errorf("Load gave %+v, %v; want the object that parses and one condition", d, err)
	}
	if d, err := Load(); err != nil || len(d.Set)+len(d.Conditions) != 0 {
		t.Errorf("Load of nothing gave %+v, %v", d, err)
	}
}

func TestLoadWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.yaml")
	write(t, huge, "")
	must(t, os.Truncate(huge, 1<<40))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for path, want := range map[string]string{
		filepath.Join(dir, "nowhere/deep"): "no such file or directory",
		filepath.Join(dir, "loop"):         "more than 40 symbolic links",
		os.DevNull:                         "neither a folder nor a regular file",
		huge:                               "more than 67108864 bytes",
	} {
		if d, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || len(d.Set) > 0 {
			t.Errorf("Load(%q) gave %v, want an error with %q", path, err, want)
		}
	}
	// Inside a folder the same is a condition.
	d, err := Load(dir)
	must(t, err)
	var reasons []config.Reason
	for _, c := range d.Conditions {
		reasons = append(reasons, c.Reason)
	}
	if !slices.Equal(reasons, []config.Reason{ReasonUnreadable, ReasonLink}) {
		t.Errorf("Load of the folder gave %v", d.Conditions)
	}
}

// TestLoadStdin replaces the process's standard input, so that it cannot run beside
// other tests.
func TestLoadStdin(t *testing.T) {
	in, out, err := os.Pipe()
	must(t, err)
	old := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = old }()
	_, err = out.WriteString(objects("a=1") + "---\n" + broken)
	must(t, err)
	must(t, out.Close())
	d, err := Load(Stdin)
	must(t, err)
	if len(d.Set) != 1 || d.Set[0].File != Stdin || len(d.Conditions) != 1 || d.Conditions[0].File != Stdin {
		t.Errorf("standard input gave %+v", d)
	}
	if _, err := readStdin(strings.NewReader("too much"), 3); err == nil {
		t.Error("standard input has no limit")
	}
}
