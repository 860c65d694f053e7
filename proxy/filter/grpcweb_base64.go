package filter

import "errors"

// ErrGRPCWebText tells that the body of a request of gRPC-Web is not base64, though its content
// type says so.
var ErrGRPCWebText = errors.New("gRPC-Web: the body is not base64")

// base64Decoder decodes base64 that comes in pieces. Each group of four characters may be
// padded, not only the last: a client encodes message by message (PROTOCOL-WEB).
type base64Decoder struct {
	bits   uint32
	place  uint8
	padded bool
}

// decode decodes a piece into its own memory: no character gives more than a byte. It returns
// how many bytes that are.
func (d *base64Decoder) decode(p []byte) (n int, ok bool) {
	for _, c := range p {
		value := base64Values[c]
		switch {
		case c == '=':
			if d.place < 2 {
				return n, false
			}
			d.padded = true
		case value == notBase64 || d.padded:
			return n, false
		default:
			d.bits = d.bits<<6 | uint32(value)
			if d.place > 0 {
				p[n] = byte(d.bits >> (6 - 2*d.place))
				n++
			}
		}
		if d.place++; d.place == 4 {
			*d = base64Decoder{}
		}
	}
	return n, true
}

// whole tells whether no group is open.
func (d *base64Decoder) whole() bool { return d.place == 0 }

const notBase64 = 0xff

// base64Values are the values of the characters (RFC 4648 section 4).
var base64Values = func() (values [256]byte) {
	for i := range values {
		values[i] = notBase64
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(alphabet) {
		values[alphabet[i]] = byte(i)
	}
	return values
}()
