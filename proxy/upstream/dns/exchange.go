package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// exchange asks one server once, by UDP, and by TCP where the answer does not fit or
// resolv.conf says so.
func exchange(ctx context.Context, c *conf, server netip.AddrPort, q dnsmessage.Question) reply {
	var r reply
	var err error
	if !c.tcp {
		r, err = over(ctx, "udp", c.timeout, server, q)
	}
	if err == nil && (c.tcp || r.truncated) {
		r, err = over(ctx, "tcp", c.timeout, server, q)
	}
	switch {
	case err != nil:
		r = failed(cause(ctx, err), false)
	case r.truncated:
		r = failed("the answer does not fit", false)
	}
	if r.err != nil {
		told := *r.err
		told.Name, told.Server = q.Name.String(), server
		r.err = &told
	}
	return r
}

func cause(ctx context.Context, err error) string {
	switch {
	case ctx.Err() == context.Canceled:
		return "given up"
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// over asks by one connection of its own, whose source port is the system's random choice.
func over(ctx context.Context, network string, timeout time.Duration, server netip.AddrPort, q dnsmessage.Question) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	id := uint16(rand.Uint32())
	message, err := question(id, q)
	if err != nil {
		return reply{}, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "udp" {
		return datagrams(conn, message[2:], id, q)
	}
	return segments(conn, message, id, q)
}

// datagrams waits for the answer among whatever comes.
func datagrams(conn net.Conn, message []byte, id uint16, q dnsmessage.Question) (reply, error) {
	if _, err := conn.Write(message); err != nil {
		return reply{}, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return reply{}, err
		}
		if r, ours := read(buf[:n], id, q); ours {
			return r, nil
		}
	}
}

var errForeign = errors.New("the answer is not to what was asked")

// segments asks by a stream, where each message follows its length (RFC 1035 section 4.2.2).
func segments(conn net.Conn, message []byte, id uint16, q dnsmessage.Question) (reply, error) {
	binary.BigEndian.PutUint16(message, uint16(len(message)-2))
	if _, err := conn.Write(message); err != nil {
		return reply{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return reply{}, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return reply{}, err
	}
	r, ours := read(answer, id, q)
	if !ours {
		return reply{}, errForeign
	}
	return r, nil
}
