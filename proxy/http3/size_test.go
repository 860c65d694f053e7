package http3

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/http3/qlog"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// frames counts the bytes of the HEADERS frames that a client sends and receives.
type frames struct {
	mu             sync.Mutex
	sent, received int64
}

func (f *frames) AddProducer() qlogwriter.Recorder { return f }
func (f *frames) Close() error                     { return nil }

func (f *frames) RecordEvent(e qlogwriter.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := e.(type) {
	case qlog.FrameCreated:
		if _, ok := e.Frame.Frame.(qlog.HeadersFrame); ok {
			f.sent += int64(e.Raw.Length)
		}
	case qlog.FrameParsed:
		if _, ok := e.Frame.Frame.(qlog.HeadersFrame); ok {
			f.received += int64(e.Raw.Length)
		}
	}
}

// whole serves as handler does, and tells when an exchange is over.
type whole struct {
	handler
	done chan proxy.Exchange
}

func (w whole) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	w.handler.Serve(ex, down)
	w.done <- *ex
}

// TestHeadSizes: what is counted of heads and trailers is what the client sends and gets.
func TestHeadSizes(t *testing.T) {
	t.Parallel()
	done := make(chan proxy.Exchange, 1)
	_, _, url := serve(t, func(o *Options) { o.HTTP.Engine = whole{done: done} })
	for _, request := range []struct {
		method, path string
		body         string
	}{{"GET", "/x", ""}, {"PUT", "/echo", "with trailers"}, {"HEAD", "/a?long=" + strings.Repeat("{", 300), ""}, {"POST", "/echo", "hello"}} {
		f := new(frames)
		transport := &http3.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com"},
			QUICConfig:      &quic.Config{Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return f }},
		}
		r, err := http.NewRequest(request.method, url+request.path, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"X-Some": {"thing, and more"}, "Cookie": {"a=b"}}
		if request.method == "PUT" {
			r.Trailer, r.ContentLength = http.Header{"X-T": {"end"}}, -1
		}
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		ex := <-done
		transport.Close()
		f.mu.Lock()
		if ex.HeadReceived != f.sent || ex.HeadSent != f.received {
			t.Errorf("%s %.10s: counted %d bytes received and %d sent, the client %d and %d", request.method, request.path, ex.HeadReceived, ex.HeadSent, f.sent, f.received)
		}
		f.mu.Unlock()
		if (ex.ResponseFlushed > 0) != (request.path == "/echo") {
			t.Errorf("%s: the head was flushed at %d", request.method, ex.ResponseFlushed)
		}
	}
	if trailersSize(nil) != 0 || trailersSize([]router.Header{{Name: "x", Value: "y"}}) == 0 {
		t.Error("trailers are not counted as they should be")
	}
}
