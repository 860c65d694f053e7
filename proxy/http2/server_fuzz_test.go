package http2

import (
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
)

// FuzzSession: whatever a client sends, nothing panics, and nothing stays behind.
func FuzzSession(f *testing.F) {
	enc := newEncoder()
	head := func(end uint8, fields ...string) []byte {
		var block []byte
		for i := 0; i < len(fields); i += 2 {
			block = enc.appendField(block, fields[i], fields[i+1])
		}
		return append(appendFrameHeader(nil, len(block), frameHeaders, flagEndHeaders|end, 1), block...)
	}
	settings := string(appendSettings(nil, setting{settingInitialWindowSize, 100}))
	data := string(appendFrameHeader(nil, 5, frameData, flagEndStream, 1)) + "hello"
	for _, s := range []string{
		settings + string(head(flagEndStream, get...)),
		settings + string(head(0, post...)) + data,
		settings + string(head(0, post...)) + data + data + string(appendReset(nil, 1, codeCancel)),
		settings + string(head(0, with(post, "content-length", "9")...)) + data,
		settings + string(appendPing(nil, false, [8]byte{})) + string(appendWindowUpdate(nil, 0, 1000)) + string(appendGoAway(nil, 0, codeNone, "x")),
		string(head(flagEndStream, get...)),
		settings + string(head(0, ":method", "CONNECT", ":scheme", "http", ":authority", "a", ":path", "/", ":protocol", "websocket", "sec-websocket-version", "13")) + data,
	} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, script []byte, split uint8) {
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		client, conn := net.Pipe()
		o := Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			if ex.Request.Upgrade != "" {
				down.Respond(ex, &proxy.Response{Status: 101}, nil, true)
				_, tunnel := down.Tunnel()
				io.Copy(tunnel, onlyReader{tunnel})
				tunnel.Close()
				return
			}
			describe(ex, down)
		})}
		session := NewSession(conn, nil, &proxy.Connection{}, o.WithDefaults())
		over := make(chan struct{})
		go func() {
			session.Serve()
			close(over)
		}()
		read := make(chan struct{})
		go func() {
			io.Copy(io.Discard, client)
			close(read)
		}()
		client.SetDeadline(time.Now().Add(patience))
		client.Write([]byte(preface))
		for len(script) > 0 {
			n := len(script)
			if split > 0 {
				n = min(n, int(split))
			}
			if _, err := client.Write(script[:n]); err != nil {
				break
			}
			script = script[n:]
			session.Check(proxy.Now())
		}
		client.Close()
		select {
		case <-over:
		case <-time.After(patience):
			t.Fatal("the session does not end")
		}
		<-read
	})
}

// TestNothingStaysBehind: sessions end with all of their goroutines, however they end.
func TestNothingStaysBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, end := range []func(s *server, p *peer){
		func(_ *server, p *peer) { p.conn.Close() },
		func(s *server, p *peer) { s.each(func(one proxy.Session) { one.Kill() }) },
		func(s *server, p *peer) { p.WriteRawFrame(http2.FrameData, 0, 0, nil) },
		func(s *server, p *peer) { s.each(func(one proxy.Session) { one.CloseIdle() }); p.conn.Close() },
	} {
		s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			switch ex.Request.Method {
			case "POST":
				readAll(down)
			case "PUT":
				for down.WriteBody(make([]byte, 1000), nil, false) == nil {
				}
			default:
				wait(ex, down)
			}
		})})
		p := s.greet()
		for i, method := range []string{"GET", "POST", "PUT", "GET", "POST", "PUT"} {
			p.headers(uint32(2*i+1), method == "GET", with(post[2:], ":method", method)...)
		}
		p.WritePing(false, [8]byte{})
		for {
			if f, err := p.ReadFrame(); err != nil || f.Header().Type == http2.FramePing {
				break
			}
		}
		end(s, p)
		s.shut()
	}
}
