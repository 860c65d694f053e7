package http3

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// dial makes a connection on which the test writes what it wants.
func dial(t *testing.T, url string) *quic.Conn {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com", NextProtos: []string{http3.NextProtoH3}}
	conn, err := quic.DialAddr(t.Context(), strings.TrimPrefix(url, "https://"), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write([]byte{0, 4, 0}) // a control stream, with empty SETTINGS
	return conn
}

// request begins a whole request, or returns why it cannot.
func request(conn *quic.Conn, path string) (*quic.Stream, error) {
	ctx, cancel := context.WithTimeout(conn.Context(), 20*time.Second)
	defer cancel()
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	var fields bytes.Buffer
	encoder := qpack.NewEncoder(&fields)
	for _, f := range []qpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "a.example.com"}, {Name: ":path", Value: path}} {
		encoder.WriteField(f)
	}
	if _, err := stream.Write(append([]byte{1, byte(fields.Len())}, fields.Bytes()...)); err != nil {
		return nil, err
	}
	return stream, stream.Close()
}

// TestRapidReset: a client that asks and leaves, again and again, loses its connection; one that
// leaves what has begun to be answered does not, unless it does so at once.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	const most = 20
	var told atomic.Int64
	_, _, url := serve(t, func(o *Options) {
		o.Resets, o.ShortLife = most, time.Nanosecond
		o.Observe = func(e proxy.ConnEvent) {
			if e == proxy.ConnHTTP3RapidReset {
				told.Add(1)
			}
		}
	})
	patient := dial(t, url)
	for range 2 * most {
		stream, err := request(patient, "/stall")
		if err != nil {
			t.Fatalf("a client that leaves answers: %v", err)
		}
		if _, err := io.ReadFull(stream, make([]byte, 10)); err != nil {
			t.Fatalf("a client that leaves answers: %v", err)
		}
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	}
	hasty := dial(t, url)
	for range 10 * most {
		stream, err := request(hasty, "/wait")
		if err != nil {
			break
		}
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	}
	select {
	case <-hasty.Context().Done():
	case <-time.After(20 * time.Second):
	}
	var why *quic.ApplicationError
	if err := context.Cause(hasty.Context()); !errors.As(err, &why) || why.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad) {
		t.Errorf("the connection ended with %v", err)
	}
	if told.Load() != 1 {
		t.Errorf("it was told of %d times", told.Load())
	}
	if patient.Context().Err() != nil {
		t.Error("the other connection has ended, too")
	}
}

// TestSlowBody: a body of known length must come at the least rate.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	events := make(chan proxy.ConnEvent, 1000)
	_, c, url := serve(t, func(o *Options) {
		o.HTTP = http1.Options{Engine: reader{}, MinBodyRate: 1000, MinBodyGrace: time.Second}.WithDefaults()
		o.Observe = func(e proxy.ConnEvent) { events <- e }
	})
	body, feed := io.Pipe()
	r, err := http.NewRequest("POST", url+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.ContentLength = "a.example.com", 100_000
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				feed.CloseWithError(io.ErrUnexpectedEOF)
				return
			case <-tick.C:
				io.WriteString(feed, "x")
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := c.Do(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 408 {
		t.Errorf("status %d, want 408", resp.StatusCode)
	}
	for len(events) > 0 {
		if <-events == proxy.ConnSlowBody {
			return
		}
	}
	t.Error("it was not counted")
}

// reader reads a body, and tells whether that took too long.
type reader struct{ handler }

func (reader) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	buf := make([]byte, 8<<10)
	for {
		_, err := down.ReadBody(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			if _, late := down.Lost(); late {
				down.Respond(ex, &proxy.Response{Status: 408}, nil, true)
			}
			return
		}
	}
	down.Respond(ex, &proxy.Response{Status: 200}, nil, true)
}

// TestConnectionFields: what HTTP/3 does not have is in no response, whoever has put it there.
func TestConnectionFields(t *testing.T) {
	t.Parallel()
	_, c, url := serve(t, func(o *Options) { o.HTTP = http1.Options{Engine: chatty{}}.WithDefaults() })
	resp, text := do(t, c, "GET", url+"/", nil)
	if resp.Header.Get("X-Kept") != "1" || text != "ok" || resp.Trailer.Get("X-Sum") != "2" {
		t.Errorf("%v %q %v", resp.Header, text, resp.Trailer)
	}
}

// chatty answers as an upstream of HTTP/1, or a rule, might.
type chatty struct{ handler }

func (chatty) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	hop := []router.Header{{Name: "Connection", Value: "close"}, {Name: "keep-alive", Value: "timeout=5"}, {Name: "transfer-encoding", Value: "chunked"}, {Name: "upgrade", Value: "h2c"}}
	down.Interim(&proxy.Response{Status: 103, Headers: append(hop, router.Header{Name: "link", Value: "</a>"})})
	r := &proxy.Response{Status: 200, Headers: append(hop, router.Header{Name: "x-kept", Value: "1"}), Body: proxy.Body{Kind: proxy.BodyStream}}
	down.Respond(ex, r, []byte("ok"), false)
	down.WriteBody(nil, append(hop, router.Header{Name: "x-sum", Value: "2"}), true)
}
