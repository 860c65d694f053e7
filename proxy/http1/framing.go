package http1

import "github.com/sluicegate/sluice/router"

// framing is what a head says about its message's body and connection.
type framing struct {
	// length is the Content-Length, -1 where there is none.
	length  int64
	chunked bool
	// closes and keeps are the connection options "close" and "keep-alive".
	closes, keeps bool
	// upgrade is the Upgrade field where the Connection field names it.
	upgrade     string
	expect      string
	teTrailers  bool // TE: trailers
	hasTrailer  bool // a Trailer field announces trailers
	options     int  // connection options that name further fields to drop
	listed      int  // connection options of any kind
	hasTE       bool // a Transfer-Encoding field is there
	upgradeSeen bool // the connection option "upgrade"
}

// fieldKind says what a codec does with a field.
type fieldKind uint8

const (
	fieldForward fieldKind = iota
	fieldHost
	fieldLength
	fieldTransferEncoding
	fieldConnection
	fieldTE
	fieldTrailer
	fieldUpgrade
	fieldExpect
	fieldDrop
)

// kindOf classifies a field by its name: the hop-by-hop fields (RFC 9110 section 7.6.1)
// and those that frame the message.
func kindOf(name string) fieldKind {
	switch len(name) {
	case 2:
		if name == "te" {
			return fieldTE
		}
	case 4:
		if name == "host" {
			return fieldHost
		}
	case 6:
		if name == "expect" {
			return fieldExpect
		}
	case 7:
		if name == "upgrade" {
			return fieldUpgrade
		}
		if name == "trailer" {
			return fieldTrailer
		}
	case 10:
		if name == "connection" {
			return fieldConnection
		}
		if name == "keep-alive" {
			return fieldDrop
		}
	case 14:
		if name == "content-length" {
			return fieldLength
		}
		if name == "http2-settings" {
			return fieldDrop
		}
	case 16:
		if name == "proxy-connection" {
			return fieldDrop
		}
	case 17:
		if name == "transfer-encoding" {
			return fieldTransferEncoding
		}
	}
	return fieldForward
}

// setLength takes a Content-Length field. A list of equal values is refused as well:
// nothing honest sends one (RFC 9110 section 8.6 allows to).
func (f *framing) setLength(value string) *ProtocolError {
	if f.length >= 0 {
		return errLengthTwice
	}
	n, ok := parseLength(value)
	if !ok {
		return errLengthInvalid
	}
	f.length = n
	return nil
}

// setTransferEncoding takes a Transfer-Encoding field: "chunked", once, and no other
// coding (RFC 9112 section 6.1).
func (f *framing) setTransferEncoding(value string) *ProtocolError {
	if f.hasTE || !equalFold(value, "chunked") {
		return errTransferCoding
	}
	f.hasTE, f.chunked = true, true
	return nil
}

// maxOptions bounds the connection options of a message, empty ones with them. Each is looked
// for among all fields.
const maxOptions = 64

// setConnection takes a Connection field's options.
func (f *framing) setConnection(list string) *ProtocolError {
	for list != "" {
		if f.listed++; f.listed > maxOptions {
			return errOptions
		}
		var option string
		option, list = nextListItem(list)
		switch {
		case option == "":
		case equalFold(option, "close"):
			f.closes = true
		case equalFold(option, "keep-alive"):
			f.keeps = true
		case equalFold(option, "upgrade"):
			f.upgradeSeen = true
		default:
			f.options++
		}
	}
	return nil
}

// setTE takes a TE field, of which only "trailers" means something to a proxy.
func (f *framing) setTE(list string) {
	for list != "" {
		var item string
		item, list = nextListItem(list)
		if equalFold(item, "trailers") {
			f.teTrailers = true
		}
	}
}

// protected are fields that no connection option may remove: those that say where a
// message ends and whom it is for, and those by which others identify its sender.
func protected(name string) bool {
	switch name {
	case "host", "content-length", "transfer-encoding", "content-type", "content-encoding",
		"authorization", "cookie", "set-cookie", "te", "x-request-id":
		return true
	}
	return len(name) > 12 && name[:12] == "x-forwarded-" || len(name) > 8 && name[:8] == "x-envoy-" || name == "forwarded"
}

// dropNominated removes the fields that the Connection fields nominate (RFC 9110 section 7.6.1)
// from kept, which is compacted in place.
func dropNominated(kept, connection []router.Header) []router.Header {
	for _, c := range connection {
		for list := c.Value; list != ""; {
			var option string
			if option, list = nextListItem(list); option != "" {
				kept = drop(kept, option)
			}
		}
	}
	return kept
}

// drop removes the fields of a name from list, unless that is protected.
func drop(list []router.Header, name string) []router.Header {
	out := list[:0]
	for _, h := range list {
		if len(h.Name) != len(name) || !equalFold(name, h.Name) || protected(h.Name) {
			out = append(out, h)
		}
	}
	return out
}
