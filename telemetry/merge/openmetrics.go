package merge

import "bytes"

// mark is how a page of OpenMetrics ends (its text format, section "Overall Structure").
const mark = "# EOF"

// plain returns an application's page as what may stand among others in Prometheus' text
// format (exposition format 0.0.4): without OpenMetrics' mark of the end and exemplars, and
// with that format's names and types.
func plain(page []byte) []byte {
	open := bytes.HasSuffix(bytes.TrimRight(page, "\r\n"), []byte(mark))
	var types map[string]string
	if open {
		types = typesOf(page)
	}
	var out bytes.Buffer
	out.Grow(len(page) + 1)
	for line := range bytes.Lines(page) {
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0 || string(line) == mark:
			continue
		case line[0] != '#':
			line = withoutExemplar(line)
		case open:
			line = comment(line, types)
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// typesOf returns the types of a page's metrics.
func typesOf(page []byte) map[string]string {
	types := make(map[string]string)
	for line := range bytes.Lines(page) {
		if f := bytes.Fields(line); len(f) == 4 && string(f[0]) == "#" && string(f[1]) == "TYPE" {
			types[string(f[2])] = string(f[3])
		}
	}
	return types
}

// comment returns a line about a metric as Prometheus' format has it, where a counter is called
// by its whole name, and there are fewer types.
func comment(line []byte, types map[string]string) []byte {
	f := bytes.SplitN(line, []byte{' '}, 4)
	if len(f) != 4 || string(f[1]) != "TYPE" && string(f[1]) != "HELP" {
		return line
	}
	name, kind := string(f[2]), types[string(f[2])]
	switch kind {
	case "counter":
		name += "_total"
	case "info":
		name, kind = name+"_info", "gauge"
	case "stateset":
		kind = "gauge"
	case "unknown", "gaugehistogram":
		kind = "untyped"
	}
	if string(f[1]) == "HELP" {
		return append([]byte("# HELP "+name+" "), f[3]...)
	}
	return []byte("# TYPE " + name + " " + kind)
}

// withoutExemplar cuts what OpenMetrics has after a sample: " # {trace_id=...} 1 2". A label's
// value, in quotes, may have the same in it.
func withoutExemplar(line []byte) []byte {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted:
			return bytes.TrimRight(line[:i], " ")
		}
	}
	return line
}
