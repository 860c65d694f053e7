package filter

import (
	"io"
	"net"
	"strings"
	"sync"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	webType     = "application/grpc-web"
	webTextType = "application/grpc-web-text"
)

// IsGRPCWeb tells whether a request of this content type is a call of gRPC-Web (gRPC's document
// PROTOCOL-WEB), the gRPC of browsers.
func IsGRPCWeb(contentType string) bool {
	if !strings.HasPrefix(contentType, webType) {
		return false
	}
	rest := strings.TrimPrefix(contentType[len(webType):], "-text")
	return rest == "" || rest[0] == '+' || rest[0] == ';'
}

// GRPCWeb is the client's side of a call of gRPC-Web, for an upstream that speaks gRPC: it
// translates the request's body, and the response. It holds no message, but what one write
// brings.
type GRPCWeb struct {
	proxy.Downstream
	ex *proxy.Exchange
	// textIn and textOut: the request's body, and the response's, is base64.
	textIn, textOut bool
	// translates: the response is one of gRPC.
	translates bool
	decoder    base64Decoder
	// frame is room for the trailers' frame, out for what is written in base64.
	frame, out []byte
}

var grpcWebs = sync.Pool{New: func() any { return new(GRPCWeb) }}

// TranslateGRPCWeb makes a request of gRPC-Web one of gRPC, and returns the Downstream to serve
// it by, which must be ended. An error is ErrGRPCWebText: the request must not be forwarded.
// The response is text where the client accepts that, or says nothing of what it accepts and
// has sent text.
func TranslateGRPCWeb(ex *proxy.Exchange, down proxy.Downstream) (*GRPCWeb, error) {
	w := grpcWebs.Get().(*GRPCWeb)
	*w = GRPCWeb{Downstream: down, ex: ex, frame: w.frame, out: w.out}
	accept, typed := "", false
	kept := ex.Request.Headers[:0]
	for _, h := range ex.Request.Headers {
		switch h.Name {
		case "content-type":
			if typed {
				// The first decided what the request is; no other may say otherwise to the
				// upstream.
				continue
			}
			typed = true
			w.textIn = strings.HasPrefix(h.Value, webTextType)
			h.Value = grpcType(ex, h.Value)
		case "accept":
			accept = h.Value
		}
		kept = append(kept, h)
	}
	ex.Request.Headers = kept
	w.textOut = w.textIn
	if strings.Contains(accept, webType) {
		w.textOut = strings.Contains(accept, webTextType)
	}
	ex.WantsTrailers = true
	if !w.textIn || ex.Body.Kind == proxy.BodyNone {
		return w, nil
	}
	if !ex.Buffered {
		ex.Body = proxy.Body{Kind: proxy.BodyStream}
		return w, nil
	}
	n, ok := w.decoder.decode(ex.Payload)
	if !ok || !w.decoder.whole() {
		return w, ErrGRPCWebText
	}
	ex.Payload = ex.Payload[:n]
	ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: int64(n)}
	return w, nil
}

// grpcType returns the content type in gRPC of one in gRPC-Web.
func grpcType(ex *proxy.Exchange, contentType string) string {
	format, _, _ := strings.Cut(strings.TrimPrefix(contentType[len(webType):], "-text"), ";")
	switch format = strings.TrimRight(format, " \t"); format {
	case "":
		return "application/grpc"
	case "+proto":
		return "application/grpc+proto"
	}
	return ex.Keep("application/grpc", format)
}

// webContentType returns the content type in gRPC-Web of one in gRPC.
func (w *GRPCWeb) webContentType(contentType string) string {
	format, _, _ := strings.Cut(contentType[len("application/grpc"):], ";")
	plain := format == "" || format == "+proto"
	switch {
	case plain && w.textOut:
		return "application/grpc-web-text+proto"
	case plain:
		return "application/grpc-web+proto"
	case w.textOut:
		return w.ex.Keep(webTextType, format)
	}
	return w.ex.Keep(webType, format)
}

// End gives the GRPCWeb back. It is called once, when the exchange is over.
func (w *GRPCWeb) End() {
	if cap(w.frame) > textPiece {
		w.frame = nil
	}
	*w = GRPCWeb{frame: w.frame, out: w.out}
	grpcWebs.Put(w)
}

// ReadBody implements proxy.Downstream.
func (w *GRPCWeb) ReadBody(p []byte) (int, error) {
	for {
		n, err := w.Downstream.ReadBody(p)
		if !w.textIn {
			return n, err
		}
		n, ok := w.decoder.decode(p[:n])
		if !ok || err == io.EOF && !w.decoder.whole() {
			return 0, ErrGRPCWebText
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Rewind implements proxy.Downstream.
func (w *GRPCWeb) Rewind() bool {
	w.decoder = base64Decoder{}
	return w.Downstream.Rewind()
}

// Trailers implements proxy.Downstream: gRPC-Web has none in requests.
func (w *GRPCWeb) Trailers() []router.Header { return nil }

// Splice implements proxy.Downstream: not every byte is the client's.
func (w *GRPCWeb) Splice(net.Conn, int64) (written int64, ok bool, err error) { return 0, false, nil }
