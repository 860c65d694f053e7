package file

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// kernelRecord writes an event as the kernel does, with zeros up to the next.
func kernelRecord(t testing.TB, watch int32, mask uint32, name string) []byte {
	t.Helper()
	head := unix.InotifyEvent{Wd: watch, Mask: mask}
	if name != "" {
		head.Len = uint32(len(name)/unix.SizeofInotifyEvent+1) * unix.SizeofInotifyEvent
	}
	record, err := binary.Append(nil, binary.NativeEndian, head)
	must(t, err)
	return append(append(record, name...), make([]byte, int(head.Len)-len(name))...)
}

func TestCut(t *testing.T) {
	t.Parallel()
	one, self := kernelRecord(t, 7, unix.IN_CREATE|unix.IN_ISDIR, "sixteen-letters!"), kernelRecord(t, 8, unix.IN_MOVE_SELF, "")
	r, rest, ok := cut(append(bytes.Clone(one), self...))
	if !ok || r.watch != 7 || r.mask != unix.IN_CREATE|unix.IN_ISDIR || string(r.name) != "sixteen-letters!" {
		t.Errorf("the first record is %+v, %v", r, ok)
	}
	if r, rest, ok = cut(rest); !ok || r.watch != 8 || r.mask != unix.IN_MOVE_SELF || len(r.name)+len(rest) > 0 {
		t.Errorf("the second record is %+v, %v, and %d bytes are left", r, ok, len(rest))
	}
	for size := range one {
		if r, _, ok := cut(one[:size]); ok {
			t.Errorf("%d bytes of a record were taken for %+v", size, r)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(kernelRecord(f, 1, unix.IN_CREATE, "a.yaml"), kernelRecord(f, 1, unix.IN_DELETE_SELF, "")...))
	f.Add(append(kernelRecord(f, -1, unix.IN_Q_OVERFLOW, ""), kernelRecord(f, 1, unix.IN_IGNORED, "")...))
	f.Fuzz(func(t *testing.T, buffer []byte) {
		n := &notifier{
			inbox:   newInbox(),
			folders: map[int32]string{1: "/conf"},
			watches: map[string]int32{"/conf": 1},
		}
		n.take(buffer)
		waiting, lost := n.inbox.take()
		told := 0
		for len(buffer) > 0 {
			r, rest, ok := cut(buffer)
			if !ok {
				if !lost {
					t.Error("a record was cut off, and nothing is said to be lost")
				}
				break
			}
			var head unix.InotifyEvent
			must(t, binary.Read(bytes.NewReader(buffer), binary.NativeEndian, &head))
			if r.watch != head.Wd || r.mask != head.Mask || len(buffer)-len(rest) != unix.SizeofInotifyEvent+int(head.Len) {
				t.Errorf("%+v was taken for %+v, and left %d of %d bytes", head, r, len(rest), len(buffer))
			}
			if len(r.name) > int(head.Len) || bytes.IndexByte(r.name, 0) >= 0 {
				t.Errorf("the name is %q, of %d bytes", r.name, head.Len)
			}
			if r.watch == 1 {
				told++
			}
			buffer = rest
		}
		if len(waiting) > told {
			t.Errorf("%d records are about the folder, and there are events of %d paths", told, len(waiting))
		}
	})
}
