//go:build !linux

package http1

import "net"

// socket is a connection as the codecs drive it. Where the poller's callback is not used,
// steps run over ordinary blocking reads: see socket_linux.go for what that saves.
type socket struct {
	conn net.Conn
	step func() bool
}

func newSocket(conn net.Conn, step func() bool) socket { return socket{conn: conn, step: step} }

func (s *socket) run() error {
	for !s.step() {
	}
	return nil
}

func (s *socket) read(p []byte) (n int, again bool, err error) {
	n, err = s.conn.Read(p)
	return n, false, err
}

func (s *socket) short(n, room int) bool { return false }

func (s *socket) write(p []byte) error {
	_, err := s.conn.Write(p)
	return err
}

// stopWrites has nothing to do: ordinary writes heed the connection's deadline.
func (s *socket) stopWrites() {}

func (s *socket) writev(a, b, c []byte) error {
	buffers := net.Buffers{a, b, c}
	_, err := buffers.WriteTo(s.conn)
	return err
}

type idleCheck uint8

const (
	idleQuiet idleCheck = iota
	idleData
	idleClosed
)

func (s *socket) peek() idleCheck { return idleQuiet }

func (s *socket) moved() int64 { return 0 }

func peekAll(conns []*Conn, quiet *[MaxLook]bool) {
	for i := range conns {
		quiet[i] = true
	}
}
