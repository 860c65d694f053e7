package http1

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

var (
	errStatusLine     = bad("http1.invalid_status_line")
	errResponseFrame  = bad("http1.ambiguous_response_framing")
	errResponseTE     = bad("http1.unsupported_transfer_encoding_in_response")
	errUnsolicited101 = bad("http1.unsolicited_upgrade")
)

// responseHead is an upstream's response head as the parser leaves it.
type responseHead struct {
	framing
	status     int
	reason     string
	http10     bool
	headers    []router.Header
	connection []router.Header
}

// parse reads the head that b begins with (RFC 9112 section 4), and returns the index behind.
// Where b may hold only a part of it, an error says nothing.
func (h *responseHead) parse(b []byte, limits *Limits) (end int, err *ProtocolError) {
	headers, connection := h.headers[:0], h.connection[:0]
	*h = responseHead{}
	h.length, h.headers, h.connection = -1, headers, connection
	i, err := h.parseLine(b)
	if err != nil {
		return 0, err
	}
	if h.headers, end, err = parseFields(b, i, h.headers, limits.Fields); err != nil {
		return 0, err
	}
	return end, h.classify()
}

// beginsStatusLine tells whether b can be the beginning of a response.
func beginsStatusLine(b []byte) bool {
	const want = "HTTP/1."
	n := min(len(b), len(want))
	return str(b[:n]) == want[:n]
}

// parseLine reads "HTTP/1.1 200 OK". The reason may be missing, with its space.
func (h *responseHead) parseLine(b []byte) (next int, err *ProtocolError) {
	const prefix = len("HTTP/1.1 200")
	if len(b) < prefix+2 || string(b[:7]) != "HTTP/1." || b[7] != '0' && b[7] != '1' || b[8] != ' ' {
		return 0, errStatusLine
	}
	h.http10 = b[7] == '0'
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return 0, errStatusLine
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 || h.status > 599 {
		return 0, errStatusLine
	}
	i := prefix
	if b[i] == ' ' {
		i++
	} else if b[i] != '\r' {
		return 0, errStatusLine
	}
	end := valueEnd(b, i)
	if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' {
		return 0, errStatusLine
	}
	h.reason = str(b[i:end])
	return end + 2, nil
}

// classify takes the fields that are the codec's own out of headers.
func (h *responseHead) classify() (err *ProtocolError) {
	kept := h.headers[:0]
	for _, f := range h.headers {
		switch kindOf(f.Name) {
		case fieldForward, fieldHost, fieldExpect:
			kept = append(kept, f)
		case fieldLength:
			err = h.setLength(f.Value)
		case fieldTransferEncoding:
			if h.setTransferEncoding(f.Value) != nil {
				err = errResponseTE
			}
		case fieldConnection:
			err = h.setConnection(f.Value)
			h.connection = append(h.connection, f)
		case fieldUpgrade:
			h.upgrade = f.Value
		case fieldTrailer:
			h.hasTrailer = true
		}
		if err != nil {
			return err
		}
	}
	if h.options > 0 {
		kept = dropNominated(kept, h.connection)
	}
	h.headers = kept
	if h.chunked && (h.length >= 0 || h.http10) {
		return errResponseFrame
	}
	return nil
}

// body says how the response's body is delimited (RFC 9112 section 6.3), for a request
// with this method.
func (h *responseHead) body(method string) proxy.Body {
	switch {
	case method == "HEAD" || h.status == 204 || h.status == 304 || h.status < 200:
		return proxy.Body{Kind: proxy.BodyNone}
	case h.chunked:
		return proxy.Body{Kind: proxy.BodyStream}
	case h.length == 0:
		return proxy.Body{Kind: proxy.BodyNone}
	case h.length > 0:
		return proxy.Body{Kind: proxy.BodyLength, Length: h.length}
	default:
		return proxy.Body{Kind: proxy.BodyStream}
	}
}

// keepsAlive tells whether the connection can take another request after this response.
func (h *responseHead) keepsAlive(method string) bool {
	if h.closes || h.http10 && !h.keeps {
		return false
	}
	untilClose := !h.chunked && h.length < 0
	return !untilClose || method == "HEAD" || h.status == 204 || h.status == 304
}
