package forward

import (
	"strconv"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// captured are the names of what telemetry wants of responses.
type captured struct{ headers, trailers []string }

// Capture has the headers and the trailers of these names, in lower case, copied of every
// response that begins from now on: see proxy.Exchange.ResponseHeaders. It replaces what was
// asked for before, and may be called at any time.
func (e *Engine) Capture(headers, trailers []string) {
	if len(headers)+len(trailers) == 0 {
		e.captured.Store(nil)
		return
	}
	e.captured.Store(&captured{headers, trailers})
}

// captureHeaders copies what is wanted of a response's headers, which are as the client gets
// them. It is called last of all.
func (e *Engine) captureHeaders(ex *proxy.Exchange, r *proxy.Response) {
	wanted := e.captured.Load()
	if wanted == nil || len(wanted.headers) == 0 {
		return
	}
	ex.ResponseHeaders = appendCaptured(ex, ex.ResponseHeaders[:0], r.Headers, wanted.headers)
	for _, name := range wanted.headers {
		if name == "content-length" {
			captureLength(ex, r)
		}
	}
}

// captureLength adds content-length, which codecs make of the body.
func captureLength(ex *proxy.Exchange, r *proxy.Response) {
	n := r.DeclaredLength
	switch r.Body.Kind {
	case proxy.BodyLength:
		n = r.Body.Length
	case proxy.BodyStream:
		return
	case proxy.BodyNone:
		if r.Status < 200 || r.Status == 204 {
			return
		}
		if ex.Request.Method != "HEAD" && r.Status != 304 {
			n = 0
		}
	}
	if n < 0 {
		return
	}
	at := len(ex.Scratch)
	ex.Scratch = strconv.AppendInt(ex.Scratch, n, 10)
	ex.ResponseHeaders = append(ex.ResponseHeaders, router.Header{Name: "content-length", Value: ex.KeptFrom(at)})
}

// appendCaptured copies those fields whose names are wanted.
func appendCaptured(ex *proxy.Exchange, dst, fields []router.Header, wanted []string) []router.Header {
	for i := range fields {
		for _, name := range wanted {
			if fields[i].Name == name {
				dst = append(dst, router.Header{Name: name, Value: ex.Keep(fields[i].Value)})
				break
			}
		}
	}
	return dst
}

// trailerTap is the client's side of an exchange whose response's trailers are wanted.
type trailerTap struct {
	proxy.Downstream
	ex     *proxy.Exchange
	wanted []string
}

// tap puts a trailerTap in front of the client, where one is wanted. An upgraded connection has
// no trailers.
func (d *delivery) tap() {
	wanted := d.engine.captured.Load()
	if wanted == nil || len(wanted.trailers) == 0 || d.ex.Request.Upgrade != "" {
		return
	}
	d.trailers = trailerTap{Downstream: d.down, ex: d.ex, wanted: wanted.trailers}
	d.down = &d.trailers
}

// WriteBody implements proxy.Downstream.
func (t *trailerTap) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if len(trailers) > 0 {
		t.ex.ResponseTrailers = appendCaptured(t.ex, t.ex.ResponseTrailers[:0], trailers, t.wanted)
	}
	return t.Downstream.WriteBody(p, trailers, end)
}
