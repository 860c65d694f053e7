package filter

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// textPiece is how much of a body is put into base64 at a time, in bytes.
const textPiece = 12 << 10

// trailersFlag marks the frame that holds the trailers.
const trailersFlag = 0x80

// Respond implements proxy.Downstream. A response without a body tells its status in headers,
// which a page of another origin could not read: it gets it in a body, like any other. What is
// no response of gRPC stays as it is.
func (w *GRPCWeb) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	contentType := headerOf(r.Headers, "content-type")
	if contentType == nil || !proxy.IsGRPC(contentType.Value) {
		return w.Downstream.Respond(ex, r, body, end)
	}
	w.translates = true
	contentType.Value = w.webContentType(contentType.Value)
	if captured := headerOf(w.ex.ResponseHeaders, "content-type"); captured != nil {
		captured.Value = contentType.Value
	}
	r.Body, r.DeclaredLength = proxy.Body{Kind: proxy.BodyStream}, -1
	if end && len(body) == 0 {
		r.Headers = w.takeStatus(r.Headers)
		frame := w.frame
		if w.textOut {
			frame = w.text(frame)
		}
		r.Body = proxy.Body{Kind: proxy.BodyLength, Length: int64(len(frame))}
		if len(frame) == 0 {
			r.Body.Kind = proxy.BodyNone
		}
		return w.Downstream.Respond(ex, r, frame, true)
	}
	first := body
	if w.textOut {
		first = w.text(body[:min(len(body), textPiece)])
		body = body[min(len(body), textPiece):]
	} else {
		body = nil
	}
	last := end && len(body) == 0
	if err := w.Downstream.Respond(ex, r, first, last); err != nil || last || len(body) == 0 {
		return err
	}
	return w.WriteBody(body, nil, end)
}

// takeStatus moves the status of a response that consists of headers alone to the frame.
func (w *GRPCWeb) takeStatus(headers []router.Header) []router.Header {
	kept := headers[:0]
	w.beginFrame()
	for _, h := range headers {
		if strings.HasPrefix(h.Name, "grpc-status") || h.Name == "grpc-message" {
			w.appendFrame(&h)
		} else {
			kept = append(kept, h)
		}
	}
	w.endFrame()
	return kept
}

// WriteBody implements proxy.Downstream.
func (w *GRPCWeb) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if !w.translates {
		return w.Downstream.WriteBody(p, trailers, end)
	}
	last := end && len(trailers) == 0
	if len(p) > 0 || last {
		if err := w.write(p, last); err != nil || last {
			return err
		}
	}
	if !end {
		return nil
	}
	w.beginFrame()
	for i := range trailers {
		w.appendFrame(&trailers[i])
	}
	w.endFrame()
	return w.write(w.frame, true)
}

// write writes bytes of the body, in pieces where they must be put into base64.
func (w *GRPCWeb) write(p []byte, end bool) error {
	if !w.textOut || len(p) == 0 {
		return w.Downstream.WriteBody(p, nil, end)
	}
	for {
		piece := p[:min(len(p), textPiece)]
		p = p[len(piece):]
		if err := w.Downstream.WriteBody(w.text(piece), nil, end && len(p) == 0); err != nil || len(p) == 0 {
			return err
		}
	}
}

// text returns bytes in base64, padded, so that the client can read all of them at once.
func (w *GRPCWeb) text(p []byte) []byte {
	w.out = base64.StdEncoding.AppendEncode(w.out[:0], p)
	return w.out
}

func (w *GRPCWeb) beginFrame() { w.frame = append(w.frame[:0], trailersFlag, 0, 0, 0, 0) }

func (w *GRPCWeb) appendFrame(h *router.Header) {
	w.frame = append(w.frame, h.Name...)
	w.frame = append(w.frame, ':')
	w.frame = append(w.frame, h.Value...)
	w.frame = append(w.frame, '\r', '\n')
}

// endFrame settles the frame's length. One without trailers is none.
func (w *GRPCWeb) endFrame() {
	const head = 5
	if len(w.frame) == head {
		w.frame = w.frame[:0]
		return
	}
	binary.BigEndian.PutUint32(w.frame[1:], uint32(len(w.frame)-head))
}

func headerOf(headers []router.Header, name string) *router.Header {
	for i := range headers {
		if headers[i].Name == name {
			return &headers[i]
		}
	}
	return nil
}
