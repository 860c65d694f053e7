package http2

import (
	"encoding/binary"
	"fmt"
)

// frameType is a frame's type (RFC 9113 section 6).
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

// Flags of frames. The same bit means another thing in another type.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	frameHeaderLen = 9
	// minFrameSize is the size of a payload that everybody takes, and what we take at most.
	minFrameSize = 16 << 10
	maxFrameSize = 1<<24 - 1
	maxWindow    = 1<<31 - 1
	// defaultWindow is what flow-control windows begin with, where SETTINGS say nothing.
	defaultWindow = 65535
	maxStreamID   = 1<<31 - 1
)

// preface is what a client begins with (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frameHeader is what every frame begins with.
type frameHeader struct {
	length int
	kind   frameType
	flags  uint8
	stream uint32
}

func (h frameHeader) has(flag uint8) bool { return h.flags&flag != 0 }

// parseFrameHeader reads the first frameHeaderLen bytes of b.
func parseFrameHeader(b []byte) frameHeader {
	_ = b[frameHeaderLen-1]
	return frameHeader{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   frameType(b[3]),
		flags:  b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & maxStreamID,
	}
}

func appendFrameHeader(dst []byte, length int, kind frameType, flags uint8, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// errCode says why a stream or a connection ends (RFC 9113 section 7).
type errCode uint32

const (
	codeNone errCode = iota
	codeProtocol
	codeInternal
	codeFlowControl
	codeSettingsTimeout
	codeStreamClosed
	codeFrameSize
	codeRefusedStream
	codeCancel
	codeCompression
	codeConnect
	codeEnhanceYourCalm
	codeInadequateSecurity
	codeHTTP11Required
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c errCode) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("error code %d", uint32(c))
}

// connError ends a connection. Detail says what the peer did, for logs. Those of this
// package are made once, so that they cost nothing when they are used.
type connError struct {
	code   errCode
	detail string
}

func (e *connError) Error() string { return "http2: " + e.detail + " (" + e.code.String() + ")" }

func protocolError(detail string) *connError { return &connError{codeProtocol, detail} }

var (
	errPadding   = protocolError("more padding than payload")
	errFrameSize = &connError{codeFrameSize, "a frame of a size that its type cannot have"}
)

// cutPadding returns the payload of a DATA or HEADERS frame without its padding (RFC 9113
// section 6.1).
func cutPadding(h frameHeader, payload []byte) ([]byte, *connError) {
	if !h.has(flagPadded) {
		return payload, nil
	}
	if len(payload) == 0 {
		return nil, errFrameSize
	}
	pad := int(payload[0])
	if pad > len(payload)-1 {
		return nil, errPadding
	}
	return payload[1 : len(payload)-pad], nil
}

func appendReset(dst []byte, stream uint32, code errCode) []byte {
	dst = appendFrameHeader(dst, 4, frameReset, 0, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendWindowUpdate(dst []byte, stream uint32, n int) []byte {
	dst = appendFrameHeader(dst, 4, frameWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

func appendPing(dst []byte, ack bool, data [8]byte) []byte {
	var flags uint8
	if ack {
		flags = flagAck
	}
	dst = appendFrameHeader(dst, len(data), framePing, flags, 0)
	return append(dst, data[:]...)
}

func appendGoAway(dst []byte, last uint32, code errCode, debug string) []byte {
	dst = appendFrameHeader(dst, 8+len(debug), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debug...)
}

// appendHeaderFrames turns the header block that stands in dst behind room for one frame
// header, from at on, into a HEADERS frame and what CONTINUATION frames it needs.
func appendHeaderFrames(dst []byte, at int, flags uint8, stream uint32, maxPayload int) []byte {
	n := len(dst) - at - frameHeaderLen
	if n <= maxPayload {
		appendFrameHeader(dst[:at], n, frameHeaders, flags|flagEndHeaders, stream)
		return dst
	}
	block := append([]byte(nil), dst[at+frameHeaderLen:]...)
	kind := frameHeaders
	for dst = dst[:at]; len(block) > 0; kind = frameContinuation {
		part := block[:min(len(block), maxPayload)]
		if block = block[len(part):]; len(block) == 0 {
			flags |= flagEndHeaders
		}
		dst = appendFrameHeader(dst, len(part), kind, flags, stream)
		dst = append(dst, part...)
		flags = 0
	}
	return dst
}
