package http3

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/sluicegate/sluice/router"
)

// sizer counts the bytes of a HEADERS frame (RFC 9114 section 7.2.2). The library does not tell
// of them; but as neither side is offered a dynamic table (RFC 9204 section 5), the same fields
// always come to the same bytes, unless a client leaves out the Huffman code.
type sizer struct {
	n       int
	encoder *qpack.Encoder
}

var sizers = sync.Pool{New: func() any {
	s := new(sizer)
	s.encoder = qpack.NewEncoder(s)
	return s
}}

// Write implements io.Writer, for the encoder.
func (s *sizer) Write(p []byte) (int, error) {
	s.n += len(p)
	return len(p), nil
}

func (s *sizer) field(name, value string) {
	s.encoder.WriteField(qpack.HeaderField{Name: strings.ToLower(name), Value: value})
}

func (s *sizer) fields(header http.Header) {
	for name, values := range header {
		for _, value := range values {
			s.field(name, value)
		}
	}
}

// end returns the size of the frame, and gives the sizer back.
func (s *sizer) end() int64 {
	const kind = 1
	size := int64(kind + quicvarint.Len(uint64(s.n)) + s.n)
	s.n = 0
	s.encoder.Close()
	sizers.Put(s)
	return size
}

// requestSize returns the size of a request's head.
func requestSize(r *http.Request) int64 {
	s := sizers.Get().(*sizer)
	s.field(":method", r.Method)
	s.field(":scheme", "https")
	s.field(":authority", r.Host)
	s.field(":path", r.RequestURI)
	s.fields(r.Header)
	if len(r.Trailer) > 0 {
		// The field that announces them was taken out.
		s.field("trailer", strings.Join(slices.Sorted(maps.Keys(r.Trailer)), ", "))
	}
	return s.end()
}

// requestTrailersSize returns the size of a request's trailers, 0 for none.
func requestTrailersSize(trailers http.Header) int64 {
	if len(trailers) == 0 {
		return 0
	}
	s := sizers.Get().(*sizer)
	s.fields(trailers)
	return s.end()
}

// responseSize returns the size of a response's head.
func responseSize(status int, header http.Header) int64 {
	s := sizers.Get().(*sizer)
	s.field(":status", strconv.Itoa(status))
	s.fields(header)
	return s.end()
}

// trailersSize returns the size of trailers, 0 for none.
func trailersSize(trailers []router.Header) int64 {
	if len(trailers) == 0 {
		return 0
	}
	s := sizers.Get().(*sizer)
	for i := range trailers {
		s.field(trailers[i].Name, trailers[i].Value)
	}
	return s.end()
}
