package apiserver

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// pebble is an ACME authority for tests, which looks for answers to its challenges at port 80 of
// the address that is told, whatever the name.
type pebble struct {
	*process
	directory, ca string
	address       atomic.Pointer[netip.Addr]
}

// pebble starts an authority, of which certificates last for some seconds.
func (s *server) pebble(t *testing.T) *pebble {
	t.Helper()
	dir, port := t.TempDir(), freePort()
	p := &pebble{directory: fmt.Sprintf("https://127.0.0.1:%d/dir", port), ca: filepath.Join(dir, "ca.pem")}
	cert, key, err := s.authority.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":           fmt.Sprintf("127.0.0.1:%d", port),
		"managementListenAddress": fmt.Sprintf("127.0.0.1:%d", freePort()),
		"certificate":             filepath.Join(dir, "cert.pem"),
		"privateKey":              filepath.Join(dir, "key.pem"),
		"httpPort":                80,
		"tlsPort":                 1,
		"profiles":                map[string]any{"default": map[string]any{"description": "short", "validityPeriod": 20}},
		"retryAfter":              map[string]any{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"ca.pem": s.authority.pem, "cert.pem": cert, "key.pem": key, "pebble.json": config} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.process, err = startProcess(dir, "pebble", os.Getenv(pebbleVar), "-config", filepath.Join(dir, "pebble.json"), "-dnsserver", p.names(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the authority's log:\n%s", p.tail())
		}
	})
	await(t, "the authority answers", func() error {
		if err := p.alive(); err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err
	})
	return p
}

// at says where names lead.
func (p *pebble) at(address string) {
	a := netip.MustParseAddr(address)
	p.address.Store(&a)
}

// names serves the DNS, over TCP, in which every name leads to the address.
func (p *pebble) names(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.answer(c)
		}
	}()
	return l.Addr().String()
}

// answer answers the questions of a connection until it ends.
func (p *pebble) answer(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		text := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, text); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(text) != nil {
			return
		}
		m.Response, m.Additionals = true, nil
		for _, q := range m.Questions {
			if a := p.address.Load(); q.Type == dnsmessage.TypeA && a != nil {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: a.As4()}})
			}
		}
		text, err := m.AppendPack(make([]byte, 2))
		if err != nil {
			return
		}
		binary.BigEndian.PutUint16(text, uint16(len(text)-2))
		if _, err := c.Write(text); err != nil {
			return
		}
	}
}
