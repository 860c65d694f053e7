//go:build !linux

package socket

import "net"

// socket is a connection as the codecs drive it. Where the poller's callback is not used,
// steps run over ordinary blocking reads: see socket_linux.go for what that saves.
type Socket struct {
	conn net.Conn
	step func() bool
}

func New(conn net.Conn, step func() bool) Socket { return Socket{conn: conn, step: step} }

func (s *Socket) Run() error {
	for !s.step() {
	}
	return nil
}

func (s *Socket) Read(p []byte) (n int, again bool, err error) {
	n, err = s.conn.Read(p)
	return n, false, err
}

func (s *Socket) Thorough() {}

func (s *Socket) Short(n, room int) bool { return false }

func (s *Socket) Write(p []byte) error {
	_, err := s.conn.Write(p)
	return err
}

// stopWrites has nothing to do: ordinary writes heed the connection's deadline.
func (s *Socket) StopWrites() {}

func (s *Socket) Writev(a, b, c []byte) error {
	buffers := net.Buffers{a, b, c}
	_, err := buffers.WriteTo(s.conn)
	return err
}

type Check uint8

const (
	Quiet Check = iota
	Data
	Closed
)

func (s *Socket) Peek() Check { return Quiet }

func (s *Socket) Drained() bool { return true }

func (s *Socket) Glance() Check { return Quiet }

func (s *Socket) Gone() bool { return false }

func (s *Socket) Moved() int64 { return 0 }

// PeekAll finds every socket quiet.
func PeekAll(sockets []*Socket, quiet *[MaxPeek]bool) {
	for i := range sockets {
		quiet[i] = true
	}
}
