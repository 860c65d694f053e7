package http1

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/sluicegate/sluice/router"
)

// TestHeadBuffer: a head is made in the room that the exchange lends where it fits, and never
// given to a pool with it; else in a buffer that it fits into, without growing.
func TestHeadBuffer(t *testing.T) {
	t.Parallel()
	buffer := make([]byte, 2*smallBuffer)
	room := buffer[smallBuffer:smallBuffer] // of just the size of a small buffer
	for _, tc := range []struct{ name, want, size int }{
		{200, smallBuffer, 0}, {3000, smallBuffer, 0}, {3000, largeBuffer, 2000}, {9000, largeBuffer, 0},
	} {
		fields := []router.Header{{Name: strings.Repeat("n", tc.name), Value: "v"}}
		out := appendFields(headBuffer(room, fields, tc.size), fields)
		if cap(out) != tc.want {
			t.Errorf("a name of %d bytes beside %d: a buffer of %d, want %d", tc.name, tc.size, cap(out), tc.want)
		}
		lent := unsafe.SliceData(out) == unsafe.SliceData(room)
		if want := tc.want == smallBuffer; lent != want {
			t.Errorf("a name of %d bytes beside %d: in the room that was lent: %t", tc.name, tc.size, lent)
		}
		putHead(out, room)
	}
	if tight := headBuffer(buffer[:0:headExtra], []router.Header{{Name: "n", Value: "v"}}, 0); cap(tight) != smallBuffer {
		t.Errorf("without enough room: a buffer of %d", cap(tight))
	}
	for range 100 {
		if b := getSmall(); unsafe.SliceData(b) == unsafe.SliceData(room) {
			t.Fatal("the room that an exchange lent is in the pool")
		}
	}
}
