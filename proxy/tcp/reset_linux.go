package tcp

import (
	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/proxy/socket"
)

// wasReset tells whether an end that was read is none: the system tells of a reset once, and
// where the other direction's write was told at that very moment, a read finds an end. All that came has been read,
// and the end of a peer counts as a byte of it. Inside TLS, and behind a header of the PROXY
// protocol, more came than was read of it here, and this tells false.
func (d *direction) wasReset() (reset bool) {
	raw := socket.Plain(d.from.conn)
	if raw == nil {
		return false
	}
	raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		reset = err == nil && info.State == unix.BPF_TCP_CLOSE && info.Bytes_received == uint64(d.bytes.Load())
	})
	return reset
}
