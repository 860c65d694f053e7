package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// upgrades tells whether a message goes through a WebSocket and back.
func (in *instance) upgrades(context.Context) error {
	if !in.Upgrades {
		return nil
	}
	c, err := in.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /r0/ HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", in.Sites[0].Name)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	// The answer to the key above is in RFC 6455 section 1.3.
	if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != http.StatusSwitchingProtocols || got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("a WebSocket is answered %s, with the key %q", resp.Status, got)
	}
	// A text of two bytes behind a mask of zeros, and the same without it.
	if _, err := c.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}); err != nil {
		return err
	}
	return same(r, "\x81\x02hi")
}

// echoBytes tells whether bytes go through a connection and back.
func (in *instance) echoBytes() error {
	c, err := in.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	return same(c, "hello")
}

func (in *instance) dial() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", in.Address, 10*time.Second)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return c, err
}

func same(r io.Reader, want string) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%q came back, not %q", got, want)
	}
	return nil
}
