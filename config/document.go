package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Document is one YAML document of a file, or one value of a stream of JSON.
type Document struct {
	// Line is where Text's first line stands in the file, from 1.
	Line int
	// Text is a part of the file's bytes, without leading comments.
	Text []byte
}

// SplitDocuments cuts a file into its documents and leaves out those that hold
// nothing but comments. It looks at lines only, so a file of any size is cut without
// being parsed: "---" and "..." at the start of a line end a document wherever they
// stand, inside block and quoted scalars too (YAML 1.2 section 9.1.4).
//
// The texts share data's memory.
func SplitDocuments(data []byte) []Document {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var documents []Document
	start, startLine := 0, 1
	end := func(to int) {
		documents = appendDocument(documents, Document{Line: startLine, Text: data[start:to:to]})
	}
	line := 1
	for at := 0; at < len(data); line++ {
		next := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		switch marker(data[at:next]) {
		case '-':
			end(at)
			// What follows "---" on its line is part of the document.
			start, startLine = at+3, line
		case '.':
			end(at)
			start, startLine = next, line+1
		}
		at = next
	}
	end(len(data))
	return documents
}

// marker returns '-' or '.' where line begins with a document marker, else 0.
func marker(line []byte) byte {
	if len(line) < 3 || line[0] != '-' && line[0] != '.' || line[1] != line[0] || line[2] != line[0] {
		return 0
	}
	if len(line) > 3 && line[3] != ' ' && line[3] != '\t' && line[3] != '\r' && line[3] != '\n' {
		return 0
	}
	return line[0]
}

// appendDocument appends d without its leading comments, blank lines and
// directives, or what d holds as a stream of JSON; nothing where it is empty.
func appendDocument(documents []Document, d Document) []Document {
	for len(d.Text) > 0 {
		end := len(d.Text)
		if i := bytes.IndexByte(d.Text, '\n'); i >= 0 {
			end = i + 1
		}
		line := bytes.TrimLeft(d.Text[:end], " \t\r\n")
		if len(line) > 0 && line[0] != '#' && d.Text[0] != '%' {
			break
		}
		d.Text = d.Text[end:]
		d.Line++
	}
	if len(d.Text) == 0 {
		return documents
	}
	if first := bytes.TrimLeft(d.Text, " \t"); len(first) > 0 && first[0] == '{' {
		return appendJSON(documents, d)
	}
	return append(documents, d)
}

// appendJSON appends the values of d where d is a stream of several, else d itself.
func appendJSON(documents []Document, d Document) []Document {
	decoder := json.NewDecoder(bytes.NewReader(d.Text))
	var values []Document
	line, counted := d.Line, 0
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// YAML in braces, or broken JSON: the reader of the document says which.
			values = append(values, Document{Line: line, Text: d.Text[counted:]})
			break
		}
		end := int(decoder.InputOffset())
		begin := end - len(value)
		line += bytes.Count(d.Text[counted:begin], []byte("\n"))
		values = append(values, Document{Line: line, Text: d.Text[begin:end:end]})
		line += bytes.Count(value, []byte("\n"))
		counted = end
	}
	if len(values) == 1 {
		return append(documents, d)
	}
	return append(documents, values...)
}
