package http3

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// silent is a request's body of which nothing comes, and what sets its deadlines.
type silent struct {
	http.ResponseWriter
	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{}
	// before is called before a deadline is set.
	before func()
}

func (s *silent) SetReadDeadline(at time.Time) error {
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = at
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

func (s *silent) SetWriteDeadline(time.Time) error { return nil }

func (s *silent) Read([]byte) (int, error) {
	for {
		s.mu.Lock()
		at, changed := s.deadline, s.changed
		s.mu.Unlock()
		var over <-chan time.Time
		if !at.IsZero() {
			over = time.After(time.Until(at))
		}
		select {
		case <-over:
			return 0, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

func (s *silent) Close() error { return nil }

// newSilent returns the exchange of a client that says no more, whose connection ends with ctx,
// and counts its time-outs.
func newSilent(ctx context.Context) (st *stream, client *silent, timeouts *int) {
	client = &silent{ResponseWriter: httptest.NewRecorder(), changed: make(chan struct{})}
	timeouts = new(int)
	server := NewServer(Options{HTTP: http1.Options{Engine: handler{}}.WithDefaults()})
	server.options.Observe = func(proxy.ConnEvent) { *timeouts++ }
	r := httptest.NewRequestWithContext(ctx, "POST", "/", client)
	st = &stream{server: server, r: r, w: client, control: http.NewResponseController(client)}
	return st, client, timeouts
}

// TestCloseBody: nobody waits for a body that is not wanted, however CloseBody and ReadBody meet;
// that is no time-out of the client's, and what was kept can be read again.
func TestCloseBody(t *testing.T) {
	t.Parallel()
	for name, meet := range map[string]func(st *stream, client *silent){
		"before": func(st *stream, _ *silent) { st.CloseBody() },
		"while its deadline is set": func(st *stream, client *silent) {
			client.before = func() {
				client.before = nil
				go st.CloseBody()
				for range 1000 {
					runtime.Gosched()
				}
			}
		},
		"after": func(st *stream, _ *silent) { time.AfterFunc(time.Second, st.CloseBody) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, client, timeouts := newSilent(t.Context())
				st.KeepBody()
				began := time.Now()
				meet(st, client)
				if _, err := st.ReadBody(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the body ended with %v", err)
				}
				if waited := time.Since(began); waited > 2*time.Second {
					t.Errorf("it was waited for for %v", waited)
				}
				if lost, timedOut := st.Lost(); lost || timedOut || *timeouts > 0 {
					t.Errorf("the client counts as lost: %t, as late: %t (%d)", lost, timedOut, *timeouts)
				}
				if !st.Rewind() {
					t.Error("the body cannot be read again")
				}
				synctest.Wait()
				time.AfterFunc(time.Second, st.CloseBody)
				if _, err := st.ReadBody(make([]byte, 10)); time.Since(began) < time.Second {
					t.Errorf("after Rewind it ended at once: %v", err)
				}
			})
		})
	}
}

// TestAbortsItsOwn: a client that goes just as its exchange ends does not end what its upstream's
// connection does next, for somebody else.
func TestAbortsItsOwn(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(cancel func()){
		"gone": func(cancel func()) { cancel() },
		"late": func(func()) { time.Sleep(http1.Timeouts{}.WithDefaults().Stream) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for range 500 {
					ctx, cancel := context.WithCancel(t.Context())
					st, _, _ := newSilent(ctx)
					a := proxy.NewWaiter()
					st.Attach(a)
					give(cancel)
					st.Attach(nil)
					given := a.Aborted()
					synctest.Wait()
					cancel()
					if a.Aborted() != given {
						t.Fatal("the upstream was aborted after it was given back")
					}
				}
			})
		})
	}
}

// TestRewindableMeanwhile: whether a body can be read again is asked while it is read.
func TestRewindableMeanwhile(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"kept": maxKept, "too large": 2 * maxKept} {
		st, _, _ := newSilent(t.Context())
		st.r.Body = io.NopCloser(iotest.OneByteReader(bytes.NewReader(make([]byte, size))))
		st.KeepBody()
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, reading{st})
		}()
		for reading := true; reading; {
			select {
			case <-read:
				reading = false
			default:
				st.Rewindable()
			}
		}
		if got, want := st.Rewindable(), size <= maxKept; got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}

// reading is a request's body as a reader.
type reading struct{ *stream }

func (r reading) Read(p []byte) (int, error) { return r.ReadBody(p) }

// TestNobodyReads: a client that leaves no room for a response does not keep its exchange for
// ever.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	_, _, url := serve(t, func(o *Options) {
		o.HTTP = http1.Options{Engine: talking{ended: ended}, Timeouts: http1.Timeouts{Stream: 200 * time.Millisecond}}.WithDefaults()
	})
	conn, err := quic.DialAddr(t.Context(), strings.TrimPrefix(url, "https://"),
		&tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com", NextProtos: []string{http3.NextProtoH3}},
		&quic.Config{InitialStreamReceiveWindow: 1, MaxStreamReceiveWindow: 1, KeepAlivePeriod: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write([]byte{0, 4, 0}) // a control stream, with empty SETTINGS
	request, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	var fields bytes.Buffer
	encoder := qpack.NewEncoder(&fields)
	for _, f := range []qpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "a.example.com"}, {Name: ":path", Value: "/cut"}} {
		encoder.WriteField(f)
	}
	request.Write(append([]byte{1, byte(fields.Len())}, fields.Bytes()...))
	request.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the response ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the response waits for ever")
	}
}

// talking is a handler whose responses have a head that is larger than what is sent unasked.
type talking struct {
	handler
	ended chan error
}

func (h talking) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	r := &proxy.Response{Status: 200, Headers: []router.Header{{Name: "x-long", Value: strings.Repeat("a", 8<<10)}}, Body: proxy.Body{Kind: proxy.BodyStream}}
	h.ended <- down.Respond(ex, r, nil, false)
	down.Cut()
}
