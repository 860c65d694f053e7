package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// format is a way to print: text for people, JSON and YAML for programs.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
	formatYAML format = "yaml"
)

var formats = []string{string(formatText), string(formatJSON), string(formatYAML)}

// addFormatFlag gives a verb its -o.
func addFormatFlag(cmd *cobra.Command) *format {
	f := formatText
	cmd.Flags().VarP(&f, "output", "o", "how to print: "+strings.Join(formats, ", "))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	return &f
}

// addLineFormatFlag gives a verb that prints line by line its -o.
func addLineFormatFlag(cmd *cobra.Command) *format {
	f := lineFormat(formatText)
	cmd.Flags().VarP(&f, "output", "o", "how to print: text, json (a line each)")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions(lineFormats, cobra.ShellCompDirectiveNoFileComp)))
	return (*format)(&f)
}

// lineFormat is a format of what has no end, which YAML would need.
type lineFormat format

var lineFormats = []string{string(formatText), string(formatJSON)}

// Set makes a format a flag's value.
func (f *lineFormat) Set(s string) error {
	if !slices.Contains(lineFormats, s) {
		return fmt.Errorf("must be one of %s", strings.Join(lineFormats, ", "))
	}
	*f = lineFormat(s)
	return nil
}

// String returns the name that Set takes.
func (f *lineFormat) String() string { return string(*f) }

// Type is what the help shows.
func (f *lineFormat) Type() string { return "FORMAT" }

// Set makes a format a flag's value.
func (f *format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return fmt.Errorf("must be one of %s", strings.Join(formats, ", "))
	}
	*f = format(s)
	return nil
}

// String returns the name that Set takes.
func (f *format) String() string { return string(*f) }

// Type is what the help shows.
func (f *format) Type() string { return "FORMAT" }

// encode prints a value for programs. It must not be called with text.
func (f format) encode(w io.Writer, value any) error {
	if f == formatYAML {
		out, err := yaml.Marshal(value)
		if err == nil {
			_, err = w.Write(out)
		}
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// ink is colour for a terminal: the parameters of an ANSI escape sequence.
type ink string

const (
	inkRed    ink = "31"
	inkGreen  ink = "32"
	inkYellow ink = "33"
	inkBold   ink = "1"
	inkDim    ink = "2"
)

// painter colours text where the output is a terminal.
type painter struct{ on bool }

// newPainter decides whether w takes colours: it must be a terminal, and neither
// NO_COLOR (https://no-color.org) nor TERM=dumb may speak against it.
func newPainter(w io.Writer) painter {
	if l, ok := w.(legibleWriter); ok {
		return painter{on: l.painted}
	}
	f, ok := w.(*os.File)
	return painter{on: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// paint returns s, coloured if colours are on.
func (p painter) paint(c ink, s string) string {
	if !p.on || c == "" || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// cell is one field of a table; its colour does not count in its width.
type cell struct {
	text string
	ink  ink
}

// writeTable prints rows with their columns aligned, two spaces apart, without
// trailing blanks. A row is a line, whatever its cells hold.
func writeTable(w io.Writer, p painter, indent string, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i].text = visible(row[i].text)
			c := row[i]
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		last := len(row) - 1
		for last >= 0 && row[last].text == "" {
			last--
		}
		b.WriteString(indent)
		for i := 0; i <= last; i++ {
			b.WriteString(p.paint(row[i].ink, row[i].text))
			if i < last {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(row[i].text)+2))
			}
		}
		b.WriteByte('\n')
	}
	io.WriteString(w, b.String())
}

// plain makes a row of cells without colour.
func plain(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i].text = t
	}
	return row
}

// count returns "1 error", "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
