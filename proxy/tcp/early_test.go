package tcp

import (
	"net"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/sluicegate/sluice/proxy"
)

// TestEarlyBytesAreLetGo: what was read before the session, such as a client's first message of
// TLS, is not held for as long as the connection lasts.
func TestEarlyBytesAreLetGo(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.to(nil, endpoint(t, false, echo))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	held := make(chan weak.Pointer[[4 << 10]byte], 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		early := new([4 << 10]byte)
		held <- weak.Make(early)
		info := &proxy.Connection{Listener: "l", Chain: "c", Local: addrPort(conn.LocalAddr()), Remote: addrPort(conn.RemoteAddr())}
		NewSession(conn, early[:], info, b.options).Serve()
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { conn.Close(); <-over }()
	conn.SetDeadline(time.Now().Add(patience))
	early := <-held
	want(t, conn, string(make([]byte, 4<<10)))
	for end := time.Now().Add(patience); early.Value() != nil; runtime.GC() {
		if time.Now().After(end) {
			t.Fatal("the session holds them yet")
		}
	}
}
