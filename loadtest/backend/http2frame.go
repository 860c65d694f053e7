package backend

import (
	"encoding/binary"
	"errors"

	"golang.org/x/net/http2"
)

// Header blocks that never change: status 200 is entry 8 of the static table, and no field goes
// into the dynamic one (RFC 7541 appendix A and section 6.2.2).
var (
	callHead = append([]byte{0x88}, literal("content-type", "application/grpc")...)
	callEnd  = literal("grpc-status", "0")
	textHead = append([]byte{0x88}, literal("content-type", "text/plain")...)
)

// literal is a field that is not indexed.
func literal(name, value string) []byte {
	out := append([]byte{0, byte(len(name))}, name...)
	return append(append(out, byte(len(value))), value...)
}

// frameHead appends the head of a frame (RFC 9113 section 4.1).
func frameHead(out []byte, kind http2.FrameType, flags http2.Flags, id uint32, length int) []byte {
	out = append(out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(out, id)
}

func setting(out []byte, id http2.SettingID, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(out, uint16(id)), value)
}

func windowUpdate(out []byte, id, by uint32) []byte {
	return binary.BigEndian.AppendUint32(frameHead(out, http2.FrameWindowUpdate, 0, id, 4), by)
}

// unpadded returns the payload of a frame without its padding.
func unpadded(p []byte, flags http2.Flags) ([]byte, error) {
	if !flags.Has(http2.FlagDataPadded) { // the same bit for headers
		return p, nil
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		return nil, errors.New("more padding than frame")
	}
	return p[1 : len(p)-int(p[0])], nil
}
