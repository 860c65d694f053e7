package protocols

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// h3Ask sends a head of any fields, and data of a body, on a stream of its own, and returns the
// status of the answer, or how the stream, or the connection, ended.
func h3Ask(conn *quic.Conn, body string, fields ...string) string {
	stream, err := conn.OpenStream()
	if err != nil {
		return err.Error()
	}
	stream.SetDeadline(time.Now().Add(patience))
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for i := 0; i+1 < len(fields); i += 2 {
		e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	out := append(quicvarint.Append([]byte{1}, uint64(block.Len())), block.Bytes()...)
	if body != "" {
		out = append(quicvarint.Append(append(out, 0), uint64(len(body))), body...)
	}
	stream.Write(out)
	stream.Close()
	answer, err := io.ReadAll(stream)
	r := bytes.NewReader(answer)
	for r.Len() > 0 {
		kind, _ := quicvarint.Read(r)
		length, _ := quicvarint.Read(r)
		payload := make([]byte, min(length, uint64(r.Len())))
		io.ReadFull(r, payload)
		if kind != 1 {
			continue
		}
		for next := qpack.NewDecoder().Decode(payload); ; {
			f, err := next()
			if err != nil {
				return err.Error()
			}
			if f.Name == ":status" {
				return f.Value
			}
		}
	}
	if err != nil {
		return "ended: " + err.Error()
	}
	return "ended without a word"
}

// TestHTTP3Heads: hardening rows 52 and 55. What HTTP/3 does not allow, or is too much, reaches
// no endpoint, and is answered or ended at once.
func TestHTTP3Heads(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	config := g.client("open.example.com")
	config.NextProtos = []string{http3.NextProtoH3}
	ask := func(body string, fields ...string) string {
		conn, err := quic.DialAddr(within(t), g.at(443), config, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseWithError(0, "")
		control, err := conn.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		control.Write([]byte{0, 4, 0}) // the control stream's type, and empty SETTINGS
		return h3Ask(conn, body, fields...)
	}
	head := func(method, path, authority string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}, more...)
	}
	get := func(more ...string) []string { return head("GET", "/", "open.example.com", more...) }
	many := func(n int, value string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("x-%d", i), value)
		}
		return list
	}
	if answer := ask("", get()...); answer != "200" {
		t.Fatal(answer)
	}
	for name, tc := range map[string]struct {
		body   string
		fields []string
	}{
		"too many fields":           {"", get(many(120, "v")...)},
		"too many bytes":            {"", get(many(20, strings.Repeat("v", 4000))...)},
		"one field of many bytes":   {"", get("x-large", strings.Repeat("v", 70<<10))},
		"upper case":                {"", get("X-Upper", "a")},
		"LF in a value":             {"", get("a", "b\nc: d")},
		"CR in a value":             {"", get("a", "b\rc")},
		"NUL in a value":            {"", get("a", "b\x00c")},
		"space in a name":           {"", get("a b", "c")},
		"colon in a name":           {"", get("a:b", "c")},
		"connection":                {"", get("connection", "close")},
		"transfer-encoding":         {"", get("transfer-encoding", "chunked")},
		"upgrade":                   {"", get("upgrade", "websocket")},
		"TE":                        {"", get("te", "gzip")},
		"two lengths":               {"abc", head("POST", "/", "open.example.com", "content-length", "3", "content-length", "4")},
		"less than its length":      {"abc", head("POST", "/", "open.example.com", "content-length", "5")},
		"less, of a large body":     {strings.Repeat("b", 40<<10), head("POST", "/", "open.example.com", "content-length", "50000")},
		"more than its length":      {"abc", head("POST", "/", "open.example.com", "content-length", "1")},
		"a length with a sign":      {"abc", head("POST", "/", "open.example.com", "content-length", "+3")},
		"path twice":                {"", get(":path", "/b")},
		"late pseudo-header":        {"", append([]string{"a", "b"}, get()...)},
		"unknown pseudo-header":     {"", append([]string{":other", "b"}, get()...)},
		"no path":                   {"", []string{":method", "GET", ":scheme", "https", ":authority", "open.example.com"}},
		"relative path":             {"", head("GET", "a", "open.example.com")},
		"absolute path":             {"", head("GET", "https://other.example.com/", "open.example.com")},
		"space in the path":         {"", head("GET", "/a b", "open.example.com")},
		"fragment in the path":      {"", head("GET", "/a#b", "open.example.com")},
		"user information":          {"", head("GET", "/", "user@open.example.com")},
		"space in the authority":    {"", head("GET", "/", "open example.com")},
		"bad port in the authority": {"", head("GET", "/", "open.example.com:http")},
		"another Host":              {"", get("host", "secure.example.com")},
		"another server":            {"", head("GET", "/", "secure.example.com")},
		"CONNECT":                   {"", []string{":method", "CONNECT", ":authority", "open.example.com:443"}},
		"underscore":                {"", get("x_forwarded_for", "6.6.6.6")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			answer := ask(tc.body, tc.fields...)
			refused := strings.HasPrefix(answer, "4") || strings.HasPrefix(answer, "ended: ") && !strings.Contains(answer, "deadline") || answer == "501"
			if !refused || time.Since(began) > 25*time.Second {
				t.Errorf("got %s after %v", answer, time.Since(began))
			}
		})
	}
}

// TestHTTP3EarlyData: hardening row 55. Nothing is taken before the handshake is over, so nothing
// can be sent twice by somebody who listened in.
func TestHTTP3EarlyData(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	config := g.client("open.example.com")
	config.ClientSessionCache, config.NextProtos = tls.NewLRUClientSessionCache(4), []string{http3.NextProtoH3}
	for range 3 {
		conn, err := quic.DialAddrEarly(within(t), g.at(443), config, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		x := &http3.Transport{TLSClientConfig: config}
		client := x.NewClientConn(conn)
		r := request(t, "https://open.example.com/")
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if conn.ConnectionState().Used0RTT {
			t.Error("the gateway took early data")
		}
		conn.CloseWithError(0, "")
		x.Close()
	}
}
