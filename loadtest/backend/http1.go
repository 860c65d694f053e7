package backend

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// http1 answers requests of HTTP/1.1.
type http1 struct {
	backend int
	// whole is the answer, of which the first head bytes are its head.
	whole []byte
	head  int
}

// newHTTP1 returns backends that answer with a body of so many bytes.
func newHTTP1(body int) func(backend int) func(*loop, *conn) handler {
	// A date is what every server sends; proxies would add one where it is missing.
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n",
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), body)
	whole := []byte(head + strings.Repeat("x", body))
	return func(backend int) func(*loop, *conn) handler {
		h := &http1{backend: backend, whole: whole, head: len(head)}
		return func(*loop, *conn) handler { return h.request }
	}
}

// message is what matters of a request's head.
type message struct {
	length    int
	chunked   bool
	last      bool
	websocket bool
	key       []byte
}

// request answers the next request.
func (h *http1) request(l *loop, c *conn, in []byte) (int, error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	end += 4
	m := read(in[:end])
	switch {
	case m.websocket:
		c.handle = webSocket
		return end, c.write(accepted(m.key))
	case m.chunked:
		n := chunked(in[end:])
		if n == 0 {
			return 0, nil
		}
		end += n
	case m.length > len(in)-end:
		if !bytes.Contains(firstLine(in), []byte("?"+Echo)) {
			return h.skip(c, m, in[end:], len(in))
		}
		return 0, nil
	default:
		end += m.length
	}
	return end, h.answer(c, in[:end], m.last)
}

// skip reads on through a body that is not all there, without keeping it.
func (h *http1) skip(c *conn, m message, body []byte, used int) (int, error) {
	missing := m.length - len(body)
	c.handle = func(_ *loop, c *conn, in []byte) (int, error) {
		if len(in) < missing {
			missing -= len(in)
			return len(in), nil
		}
		c.handle = h.request
		return missing, h.answer(c, nil, m.last)
	}
	return used, nil
}

// answer answers a request that has been read.
func (h *http1) answer(c *conn, request []byte, last bool) error {
	c.last = last
	line := firstLine(request)
	switch {
	case bytes.Contains(line, []byte("?"+Echo)):
		head := request[:bytes.Index(request, []byte("\r\n\r\n"))+4]
		return c.write(echo(h.backend, head))
	case bytes.HasPrefix(line, []byte("HEAD ")):
		return c.send(h.whole[:h.head])
	}
	return c.send(h.whole)
}

// echo is the answer that shows a request's head.
func echo(backend int, head []byte) []byte {
	body := fmt.Sprintf("backend %d\r\n%s", backend, head)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func firstLine(request []byte) []byte {
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	return line
}

// read reads a head, looking closely only at lines that begin as those do which matter.
func read(head []byte) (m message) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	m.last = bytes.HasSuffix(line, []byte("HTTP/1.0"))
	for len(rest) > 2 {
		i := bytes.IndexByte(rest, '\n')
		line, rest = rest[:i-1], rest[i+1:]
		switch line[0] | 0x20 {
		case 'c', 't', 'u', 's':
			name, value, _ := bytes.Cut(line, []byte(":"))
			m.field(name, bytes.TrimSpace(value))
		}
	}
	return m
}

// field takes a field of the head in.
func (m *message) field(name, value []byte) {
	is := func(what string) bool { return len(name) == len(what) && strings.EqualFold(string(name), what) }
	switch {
	case is("content-length"):
		m.length, _ = strconv.Atoi(string(value))
	case is("transfer-encoding"):
		m.chunked = strings.EqualFold(string(value), "chunked")
	case is("connection"):
		m.last = m.last || strings.EqualFold(string(value), "close")
	case is("upgrade"):
		m.websocket = strings.EqualFold(string(value), "websocket")
	case is("sec-websocket-key"):
		m.key = value
	}
}

// chunked returns the length of a body in chunks, 0 while it is not complete.
func chunked(in []byte) (length int) {
	for {
		i := bytes.Index(in[length:], []byte("\r\n"))
		if i < 0 {
			return 0
		}
		digits, _, _ := bytes.Cut(in[length:length+i], []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 31)
		if err != nil {
			return 0
		}
		length += i + 2
		if size == 0 { // no proxy here sends trailers
			if len(in) < length+2 {
				return 0
			}
			return length + 2
		}
		length += int(size) + 2
		if length >= len(in) {
			return 0
		}
	}
}
