package tcp

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// TestWithoutPipes: where there is no pipe to be had, even in the middle, bytes go through
// buffers.
func TestWithoutPipes(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.to(nil, endpoint(t, false, echo))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(patience))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	info := &proxy.Connection{Listener: "l", Chain: "c", Local: addrPort(conn.LocalAddr())}
	s := NewSession(conn, []byte("early "), info, b.options).(*session)
	s.begin(s.connect())
	s.up.splice.giveUp()
	s.down.splice.giveUp()
	var both sync.WaitGroup
	both.Go(s.up.carry)
	both.Go(s.down.carry)
	data := payload(1 << 20)
	go func() {
		client.Write(data)
		client.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, append([]byte("early "), data...)) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(data)+6, err)
	}
	both.Wait()
	s.end()
	if st := b.over(); st.BytesSent != 1<<20+6 || st.Flags != 0 {
		t.Errorf("told of it: %+v", st)
	}
}
