// Package flagdoc holds the documents' tables of flags to the commands. Only tests
// import it.
package flagdoc

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// row is a line such as "| `--drain` | `30s` | how long ... |".
var row = regexp.MustCompile("(?m)^\\| `--([a-z0-9-]+)`(?:, `-([a-z])`)? \\| (?:`([^`]*)`)? ?\\| ")

// Check fails where a Markdown file's table of flags is not the command's.
func Check(t *testing.T, cmd *cobra.Command, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type documented struct{ short, value string }
	table := make(map[string]documented)
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		table[m[1]] = documented{m[2], m[3]}
	}
	cmd.InitDefaultVersionFlag()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		got, ok := table[f.Name]
		want := documented{f.Shorthand, strings.Trim(f.DefValue, "[]")}
		if f.Name == "version" {
			want.value = ""
		}
		switch {
		case !ok:
			t.Errorf("%s does not tell of --%s", file, f.Name)
		case got != want:
			t.Errorf("%s says of --%s: %+v, want %+v", file, f.Name, got, want)
		}
		delete(table, f.Name)
	})
	for name := range table {
		t.Errorf("%s tells of --%s, which there is not", file, name)
	}
}
