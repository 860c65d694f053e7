package proxy

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func message(n int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(n)), bytes.Repeat([]byte{0xff}, n)...)
}

func TestGRPCMessages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body []byte
		want uint64
	}{
		"none":        {nil, 0},
		"empty":       {message(0), 1},
		"one":         {message(3), 1},
		"three":       {bytes.Join([][]byte{message(300), message(0), message(1)}, nil), 3},
		"cut prefix":  {append(message(3), message(3)[:4]...), 1},
		"cut message": {append(message(3), message(3)[:6]...), 2},
	} {
		var m GRPCMessages
		if got := m.Count(test.body); got != test.want {
			t.Errorf("%s: %d messages, want %d", name, got, test.want)
		}
		var each GRPCMessages
		got := uint64(0)
		for i := range test.body {
			got += each.Count(test.body[i : i+1])
		}
		if got != test.want {
			t.Errorf("%s, byte by byte: %d messages, want %d", name, got, test.want)
		}
	}
}

// FuzzGRPCMessages: it does not matter how a body comes.
func FuzzGRPCMessages(f *testing.F) {
	f.Add(append(message(3), message(0)...), uint8(1))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 1, 2}, uint8(3))
	f.Fuzz(func(t *testing.T, body []byte, step uint8) {
		var whole, parts GRPCMessages
		want, got := whole.Count(body), uint64(0)
		for at := 0; at < len(body); at += int(step) + 1 {
			got += parts.Count(body[at:min(len(body), at+int(step)+1)])
		}
		if got != want || got > uint64(len(body)/grpcPrefix) {
			t.Errorf("%d messages in pieces of %d, %d at once, of %d bytes", got, int(step)+1, want, len(body))
		}
	})
}
