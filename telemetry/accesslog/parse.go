package accesslog

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parse cuts a format into its pieces.
func parse(text string) (pieces []piece, w wanted, err error) {
	if len(text) > maxFormat {
		return nil, w, fmt.Errorf("the format is longer than %d bytes", maxFormat)
	}
	literal := ""
	for text != "" {
		before, rest, found := strings.Cut(text, "%")
		literal += before
		if !found {
			break
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			literal += "%"
			text = after
			continue
		}
		c, after, err := cutCommand(rest)
		if err != nil {
			return nil, w, err
		}
		p, wants, err := c.compile()
		if err != nil {
			return nil, w, err
		}
		w.add(wants)
		if literal != "" {
			pieces = append(pieces, piece{literal: literal})
			literal = ""
		}
		pieces = append(pieces, p)
		text = after
	}
	if literal != "" {
		pieces = append(pieces, piece{literal: literal})
	}
	return pieces, w, nil
}

// command is an operator as it is written: %NAME(ARGUMENT):LIMIT%.
type command struct {
	name, argument string
	brackets       bool // whether there is an argument, if an empty one
	limit          int
	cut            bool // whether there is a limit
}

// cutCommand reads a command behind its first percent sign, and returns what follows it.
func cutCommand(text string) (c command, after string, err error) {
	n := 0
	for n < len(text) && (text[n] >= 'A' && text[n] <= 'Z' || text[n] >= '0' && text[n] <= '9' || text[n] == '_') {
		n++
	}
	c.name, after = text[:n], text[n:]
	if n == 0 {
		return c, "", fmt.Errorf("%q begins no operator: its name is written in capitals, such as %%PROTOCOL%%; a percent sign itself is %%%%", "%"+excerpt(text))
	}
	if strings.HasPrefix(after, "(") {
		end := closing(after)
		if end < 0 {
			return c, "", fmt.Errorf("%%%s has no end: %q is missing", excerpt(text), ")%")
		}
		c.argument, c.brackets, after = after[1:end], true, after[end+1:]
	}
	if rest, ok := strings.CutPrefix(after, ":"); ok {
		digits, _, _ := strings.Cut(rest, "%")
		if c.limit, err = strconv.Atoi(digits); err != nil || c.limit < 0 {
			return c, "", fmt.Errorf("%%%s: %q is no number of characters to cut the value to", c.name, excerpt(digits))
		}
		c.cut, after = true, rest[len(digits):]
	}
	after, ok := strings.CutPrefix(after, "%")
	if !ok {
		return c, "", fmt.Errorf("%%%s has no end: a percent sign is missing", excerpt(text))
	}
	return c, after, nil
}

// closing returns where the bracket ends that text begins with: at the first one that a
// percent sign follows, or a limit and one. Arguments may hold both.
func closing(text string) int {
	for i := 1; i < len(text); i++ {
		if text[i] != ')' {
			continue
		}
		rest := text[i+1:]
		if digits, ok := strings.CutPrefix(rest, ":"); ok {
			rest = strings.TrimLeft(digits, "0123456789")
		}
		if strings.HasPrefix(rest, "%") {
			return i
		}
	}
	return -1
}

// excerpt shortens a text for an error.
func excerpt(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// compile makes the piece of a command.
func (c command) compile() (p piece, w wanted, err error) {
	o, ok := operators[c.name]
	if !ok {
		return p, w, unknown(c.name)
	}
	if c.argument != "" && !o.argument {
		return p, w, fmt.Errorf("%%%s%% takes no argument, and has (%s)", c.name, excerpt(c.argument))
	}
	if p, w, err = o.make(c.argument); err != nil {
		return p, w, fmt.Errorf("%%%s(%s)%%: %w", c.name, excerpt(c.argument), err)
	}
	if c.cut {
		p.limit = max(1, c.limit)
		p.number = p.number && p.get == nil // JSON takes part of a count, and not of true or -5
		if p.odd {
			// Nobody escapes what would be left of a letter.
			p.get = wholeLetters(p.get, p.limit)
		}
		if c.limit == 0 {
			p = piece{safe: p.safe, number: p.number, odd: p.odd, dash: p.dash, limit: p.limit, text: func(source) string { return "" }}
		}
	}
	return p, w, nil
}

// wholeLetters returns a getter that cuts its values to so many bytes, or a few less.
func wholeLetters(get getter, limit int) getter {
	return func(dst []byte, s source) ([]byte, bool) {
		at := len(dst)
		dst, ok := get(dst, s)
		if end := at + limit; end < len(dst) {
			for end > at && !utf8.RuneStart(dst[end]) {
				end--
			}
			dst = dst[:end]
		}
		return dst, ok
	}
}

// unknown returns the error of an operator that there is none of, with the one that was
// probably meant.
func unknown(name string) error {
	best, least := "", 4
	for _, known := range operatorNames() {
		if d := distance(name, known); d < least && d < len(known)/2 {
			best, least = known, d
		}
	}
	if best != "" {
		return fmt.Errorf("%%%s%% is no operator that is known; did you mean %%%s%%?", name, best)
	}
	return fmt.Errorf("%%%s%% is no operator that is known; there are %s", name, strings.Join(operatorNames(), ", "))
}

// distance counts the letters to insert, leave out or replace to make one name of another
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
