package http1

import (
	"io"
	"strings"

	"github.com/sluicegate/sluice/router"
)

var (
	errChunkSize       = bad("http1.invalid_chunk_size")
	errChunkEnd        = bad("http1.invalid_chunk_end")
	errChunkExtensions = bad("http1.chunk_extensions_too_large")
	errTrailersTooLong = &ProtocolError{Status: 431, Detail: "http1.trailers_too_large"}
)

// maxChunkExtensions bounds what the extensions of one message may add up to. They are
// never forwarded (RFC 9112 section 7.1.1 lets a recipient ignore them).
const maxChunkExtensions = 4 << 10

// chunkState is where in the chunked coding (RFC 9112 section 7.1) a decoder stands.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailers
	chunkDone
)

// chunkDecoder decodes the chunked coding from whatever pieces arrive.
type chunkDecoder struct {
	state      chunkState
	digits     uint8
	left       int64
	extensions int
	// trailers collects the trailer section, up to and with its empty line.
	trailers []byte
}

func (d *chunkDecoder) reset() { *d = chunkDecoder{trailers: d.trailers[:0]} }

// next consumes from b and returns the next piece of data in it, which aliases b, and how
// much of b is used up. data is empty where b held none; done says that the body, its
// trailers with it, is complete: what follows belongs to the next message.
func (d *chunkDecoder) next(b []byte, limits *Limits) (data []byte, used int, done bool, err *ProtocolError) {
	i := 0
	for i < len(b) {
		switch d.state {
		case chunkSize:
			i, err = d.size(b, i)
		case chunkExtension:
			i, err = d.extension(b, i)
		case chunkSizeLF:
			if b[i] != '\n' {
				return nil, i, false, errLineEnd
			}
			i++
			if d.state = chunkData; d.left == 0 {
				d.state = chunkTrailers
			}
		case chunkData:
			n := int64(len(b) - i)
			if n > d.left {
				n = d.left
			}
			data = b[i : i+int(n)]
			if d.left -= n; d.left == 0 {
				d.state = chunkDataCR
			}
			return data, i + int(n), false, nil
		case chunkDataCR:
			if b[i] != '\r' {
				return nil, i, false, errChunkEnd
			}
			i++
			d.state = chunkDataLF
		case chunkDataLF:
			if b[i] != '\n' {
				return nil, i, false, errChunkEnd
			}
			i++
			d.state, d.digits = chunkSize, 0
		case chunkTrailers:
			i, err = d.trailerBytes(b, i, limits)
		case chunkDone:
			return nil, i, true, nil
		}
		if err != nil {
			return nil, i, false, err
		}
	}
	return nil, i, d.state == chunkDone, nil
}

// size reads hexadecimal digits: at least one, no sign, no space, and not more than 63
// bits.
func (d *chunkDecoder) size(b []byte, i int) (int, *ProtocolError) {
	for ; i < len(b); i++ {
		if v, ok := unhex(b[i]); ok {
			if d.digits == 0 {
				d.left = 0
			}
			if d.digits >= 16 || d.left > (1<<63-1)>>4 {
				return i, errChunkSize
			}
			d.left = d.left<<4 | int64(v)
			d.digits++
			continue
		}
		if d.digits == 0 {
			return i, errChunkSize
		}
		switch b[i] {
		case '\r':
			d.state = chunkSizeLF
			return i + 1, nil
		case ';':
			d.state = chunkExtension
			return i + 1, nil
		default:
			return i, errChunkSize
		}
	}
	return i, nil
}

func (d *chunkDecoder) extension(b []byte, i int) (int, *ProtocolError) {
	for ; i < len(b); i++ {
		if !valueByte[b[i]] {
			if b[i] != '\r' {
				return i, errLineEnd
			}
			d.state = chunkSizeLF
			return i + 1, nil
		}
		if d.extensions++; d.extensions > maxChunkExtensions {
			return i, errChunkExtensions
		}
	}
	return i, nil
}

// trailerBytes collects the trailer section until its empty line.
func (d *chunkDecoder) trailerBytes(b []byte, i int, limits *Limits) (int, *ProtocolError) {
	for ; i < len(b); i++ {
		c := b[i]
		n := len(d.trailers)
		if c == '\n' && (n == 0 || d.trailers[n-1] != '\r') {
			return i, errLineEnd
		}
		if n > 0 && d.trailers[n-1] == '\r' && c != '\n' {
			return i, errLineEnd
		}
		d.trailers = append(d.trailers, c)
		if n++; n > limits.HeadBytes {
			return i, errTrailersTooLong
		}
		if c == '\n' && (n == 2 || n >= 4 && d.trailers[n-3] == '\n') {
			d.state = chunkDone
			return i + 1, nil
		}
	}
	return i, nil
}

// fields parses the trailers of a complete body and returns those that may be forwarded.
// A trailer must not say anything that routing, framing or identity rests on (RFC 9110
// section 6.5.1).
func (d *chunkDecoder) fields(limits *Limits) ([]router.Header, *ProtocolError) {
	if len(d.trailers) <= 2 {
		return nil, nil
	}
	all, _, err := parseFields(d.trailers, 0, nil, limits.Fields)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, f := range all {
		if trailerAllowed(f.Name) {
			kept = append(kept, f)
		}
	}
	return kept, nil
}

func trailerAllowed(name string) bool {
	if kindOf(name) != fieldForward || protected(name) || strings.IndexByte(name, '_') >= 0 {
		return false
	}
	switch name {
	case "content-range", "cache-control", "age", "expires", "date", "location", "retry-after",
		"vary", "warning", "max-forwards", "range", "proxy-authorization", "proxy-authenticate",
		"www-authenticate", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-url", "x-rewrite-url":
		return false
	}
	return true
}

// errBodyCut is a body that ended before its framing said so.
var errBodyCut = io.ErrUnexpectedEOF

const hexDigits = "0123456789abcdef"

// appendChunkHead appends a chunk's size line.
func appendChunkHead(dst []byte, n int) []byte {
	var digits [16]byte
	i := len(digits)
	for {
		i--
		digits[i] = hexDigits[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	dst = append(dst, digits[i:]...)
	return append(dst, '\r', '\n')
}

// appendLastChunk appends the end of a chunked body, with trailers.
func appendLastChunk(dst []byte, trailers []router.Header) []byte {
	dst = append(dst, "0\r\n"...)
	dst = appendFields(dst, trailers)
	return append(dst, '\r', '\n')
}

// appendFields appends field lines.
func appendFields(dst []byte, fields []router.Header) []byte {
	for i := range fields {
		dst = append(dst, fields[i].Name...)
		dst = append(dst, ':', ' ')
		dst = append(dst, fields[i].Value...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}
