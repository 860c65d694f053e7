package forward_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/router"
)

// toHTTP2 is a spec whose every request goes to the addresses, by HTTP/2.
func toHTTP2(addresses ...string) *router.Spec {
	spec := toOrigin(addresses...)
	spec.Clusters[0].Protocol = router.ProtocolHTTP2
	return spec
}

// startHTTP2 serves handler by HTTP/2 without TLS, as net/http does.
func startHTTP2(t testing.TB, handler http.Handler, change ...func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: protocols}
	for _, c := range change {
		c(server)
	}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-served })
	return l.Addr().String()
}

// framed is an origin of HTTP/2 that says frame by frame what it wants.
type framed struct {
	*http2.Framer
	c     *originConn
	block []byte
}

// startFramed hands each connection to serve, behind the preface.
func startFramed(t testing.TB, serve func(*framed)) *origin {
	return startOrigin(t, func(c *originConn) {
		if _, err := io.ReadFull(c.br, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := &framed{Framer: http2.NewFramer(c.Conn, c.br), c: c}
		f.WriteSettings()
		serve(f)
	})
}

// next returns the next HEADERS, DATA or RST_STREAM frame.
func (f *framed) next() (http2.Frame, error) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return nil, err
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame, *http2.DataFrame, *http2.RSTStreamFrame:
			return frame, nil
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		}
	}
}

// Write implements io.Writer, for hpack.
func (f *framed) Write(p []byte) (int, error) {
	f.block = append(f.block, p...)
	return len(p), nil
}

// respond sends a response's head, or trailers.
func (f *framed) respond(stream uint32, end bool, fields ...string) error {
	f.block = f.block[:0]
	enc := hpack.NewEncoder(f)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true})
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block, EndHeaders: true, EndStream: end})
}

// terseHTTP2 is an origin that allocates nothing: it answers every request without a body,
// or whose body has ended, with the same bytes.
func terseHTTP2(body string) func(*originConn) {
	// :status 200, content-length
	length := []byte{byte(len(body)/1000%10) + '0', byte(len(body)/100%10) + '0', byte(len(body)/10%10) + '0', byte(len(body)%10) + '0'}
	block := append([]byte{0x88, 0x0f, 28 - 15, 4}, length...)
	answer := append([]byte{0, 0, byte(len(block)), 1, 4, 0, 0, 0, 0}, block...)
	data := len(answer)
	answer = append(answer, 0, byte(len(body)>>8), byte(len(body)), 0, 1, 0, 0, 0, 0)
	answer = append(answer, body...)
	return func(c *originConn) {
		in, out := make([]byte, 64<<10), make([]byte, 0, 256<<10)
		if _, err := io.ReadFull(c.Conn, in[:len(http2.ClientPreface)]); err != nil {
			return
		}
		c.Conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})
		have := 0
		for {
			n, err := c.Conn.Read(in[have:])
			if err != nil {
				return
			}
			have += n
			at := 0
			out = out[:0]
			for have-at >= 9 {
				length := int(in[at])<<16 | int(in[at+1])<<8 | int(in[at+2])
				if have-at < 9+length {
					break
				}
				kind, flags, stream := in[at+3], in[at+4], binary.BigEndian.Uint32(in[at+5:])
				if kind <= 1 && flags&1 != 0 {
					binary.BigEndian.PutUint32(answer[5:], stream)
					binary.BigEndian.PutUint32(answer[data+5:], stream)
					out = append(out, answer...)
				}
				if kind == 0 && length > 0 {
					// The connection's window, and not the stream's, goes on.
					out = append(out, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, byte(length>>8), byte(length))
				}
				at += 9 + length
			}
			have = copy(in, in[at:have])
			if _, err := c.Conn.Write(out); err != nil {
				return
			}
		}
	}
}
