package start

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing")
	for name, c := range map[string]struct {
		files []string
		want  int64
	}{
		"a limit":            {[]string{write("a", "1000000\n")}, 900000},
		"no limit":           {[]string{write("b", "max\n")}, 0},
		"no limit, as of v1": {[]string{write("c", "9223372036854771712\n")}, 0},
		"the second file":    {[]string{missing, write("d", "2000")}, 1800},
		"no file":            {[]string{missing}, 0},
		"nonsense":           {[]string{write("e", "-5")}, 0},
	} {
		if got := memoryLimit(c.files...); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
