package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files and the outputs in the documents")

// TestDocs runs what the documents show; TestGolden what testdata holds, so that
// every change of an output shows in a diff.
//
// In a fenced block marked console a line that starts with "$ " is a command, and
// what follows is its output, compared word for word but for a line "...", which
// stands for any lines. A command that ends in "# exits N" must do so; any other must
// exit 0. Only verbs that read files run. With -update the outputs are rewritten.
func TestDocs(t *testing.T) {
	t.Chdir("../..")
	runDocuments(t, 8, "README.md", "docs/*.md")
}

func TestGolden(t *testing.T) {
	t.Chdir("../..")
	runDocuments(t, 20, "cmd/sluice/testdata/*.md")
}

// runDocuments runs the commands of all documents, which must be several.
func runDocuments(t *testing.T, several int, patterns ...string) {
	t.Helper()
	ran := 0
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			ran += runDocument(t, name)
		}
	}
	if ran < several {
		t.Errorf("only %d commands ran: the console blocks are not found", ran)
	}
}

// runDocument runs the commands of one document and returns how many.
func runDocument(t *testing.T, name string) (ran int) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rewritten := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		var out strings.Builder
		for _, c := range parseConsole(block) {
			if c.runnable() {
				ran++
				c.output = c.check(t, name)
			}
			out.WriteString(c.String())
		}
		return "```console\n" + out.String() + "```"
	})
	if *update && rewritten != string(text) {
		if err := os.WriteFile(name, []byte(rewritten), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ran
}

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n.*?```")
	exitComment  = regexp.MustCompile(`\s+# exits (\d)$`)
)

// consoleCommand is one command of a document and the output shown for it.
type consoleCommand struct {
	line   string
	output string
}

func parseConsole(block string) []consoleCommand {
	block = strings.TrimSuffix(strings.TrimPrefix(block, "```console\n"), "```")
	var commands []consoleCommand
	for line := range strings.Lines(block) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, consoleCommand{line: strings.TrimSuffix(command, "\n")})
		} else if n := len(commands); n > 0 {
			commands[n-1].output += line
		}
	}
	return commands
}

func (c consoleCommand) String() string { return "$ " + c.line + "\n" + c.output }

// words returns the arguments behind "sluice", nil for another command.
func (c consoleCommand) words() []string {
	words := shellWords(exitComment.ReplaceAllString(c.line, ""))
	switch {
	case len(words) > 1 && words[0] == "sluice":
		return words[1:]
	case len(words) > 3 && slices.Equal(words[:3], []string{"go", "run", "./cmd/sluice"}):
		return words[3:]
	}
	return nil
}

func (c consoleCommand) runnable() bool {
	words := c.words()
	return len(words) > 0 &&
		slices.Contains([]string{"validate", "explain", "convert", "proxy-config", "pc", "version", "help", "profile", "manifest"}, words[0]) &&
		!slices.ContainsFunc(words, func(w string) bool { return w == "--admin" || w == "|" || w == "<" })
}

// check runs the command, compares and returns the output it gave. What depends on
// the build (version) is compared by its status only.
func (c consoleCommand) check(t *testing.T, document string) string {
	t.Helper()
	want := 0
	if m := exitComment.FindStringSubmatch(c.line); m != nil {
		want, _ = strconv.Atoi(m[1])
	}
	var out bytes.Buffer
	got := run(c.words(), &out, &out)
	if got != want {
		t.Errorf("%s: %s\nexited %d, want %d:\n%s", document, c.line, got, want, out.String())
	}
	if c.output == "" || c.words()[0] == "version" {
		return c.output
	}
	if pattern := outputPattern(c.output); !*update && !pattern.MatchString(out.String()) {
		t.Errorf("%s: %s\n%s(go test ./cmd/sluice -update rewrites it)", document, c.line, firstDifference(out.String(), c.output))
	} else if pattern.MatchString(out.String()) {
		return c.output
	}
	return out.String()
}

// firstDifference shows the line where two outputs part.
func firstDifference(got, shown string) string {
	gotLines, shownLines := strings.Split(got, "\n"), strings.Split(shown, "\n")
	i := 0
	for i < len(gotLines)-1 && i < len(shownLines)-1 && gotLines[i] == shownLines[i] {
		i++
	}
	return fmt.Sprintf("line %d\n   is %s\nshown %s\n", i+1, gotLines[i], shownLines[i])
}

// outputPattern lets "..." on a line of its own stand for any lines.
func outputPattern(output string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.TrimRight(output, "\n"))
	quoted = regexp.MustCompile(`(?m)^\s*\\\.\\\.\\\.$`).ReplaceAllLiteralString(quoted, `(?s:.*)`)
	return regexp.MustCompile(`^` + quoted + `\n*$`)
}

// TestDocLinks follows the documents' links to files of the repository, and to headings.
func TestDocLinks(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, name := range append(documents, "../../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range markdownLink.FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(t, path), anchor) {
				t.Errorf("%s: the link to %s: there is no such heading", name, m[1])
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links found", links)
	}
}

// anchors returns what a document's headings are linked by.
func anchors(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		words := notInAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(words, " ", "-"))
	}
	return list
}

var (
	heading     = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// shellWords splits a command as a shell would, as far as quotes and spaces go.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	open := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, open = r, true
		case quote == 0 && r == ' ':
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

func TestShellWords(t *testing.T) {
	t.Parallel()
	got := fmt.Sprintf("%q", shellWords(`sluice explain -H 'end-user: jason'  "a b" ''`))
	if want := `["sluice" "explain" "-H" "end-user: jason" "a b" ""]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOutputPattern(t *testing.T) {
	t.Parallel()
	pattern := outputPattern("first\n...\nlast\n")
	for text, want := range map[string]bool{
		"first\nlast\n":             false,
		"first\nx\ny\nlast\n":       true,
		"first\nx\nlast\nanother\n": false,
		"firstx\nlast":              false,
	} {
		if got := pattern.MatchString(text); got != want {
			t.Errorf("%q: matches %v, want %v", text, got, want)
		}
	}
}
