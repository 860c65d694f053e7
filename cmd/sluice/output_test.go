package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestTableAlignsWhatIsPainted(t *testing.T) {
	t.Parallel()
	rows := [][]cell{
		{{"a", inkRed}, {text: "b"}, {text: ""}},
		{{text: "größer"}, {"c", inkBold}, {text: "d"}},
	}
	var b bytes.Buffer
	writeTable(&b, painter{}, "> ", rows)
	if want := "> a       b\n> größer  c  d\n"; b.String() != want {
		t.Errorf("plain:\n%q, want\n%q", b.String(), want)
	}
	b.Reset()
	writeTable(&b, painter{on: true}, "", rows)
	if want := "\x1b[31ma\x1b[0m       b\ngrößer  \x1b[1mc\x1b[0m  d\n"; b.String() != want {
		t.Errorf("painted:\n%q, want\n%q", b.String(), want)
	}
}

func TestNoColourWithoutTerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newPainter(file).on || newPainter(&bytes.Buffer{}).on {
		t.Error("a file or buffer is painted")
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	value := struct {
		A string `json:"a"`
		B []int  `json:"b"`
	}{"<&>", []int{1}}
	for f, want := range map[format]string{
		formatJSON: "{\n  \"a\": \"<&>\",\n  \"b\": [\n    1\n  ]\n}\n",
		formatYAML: "a: <&>\nb:\n- 1\n",
	} {
		var b strings.Builder
		if err := f.encode(&b, value); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: %q, want %q", f, b.String(), want)
		}
	}
}
