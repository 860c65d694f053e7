// Package dnstest is a DNS server on loopback for tests.
//
// It owns what the wire needs. It must not know what is tested.
package dnstest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Reply is what a question is answered with.
type Reply struct {
	RCode   dnsmessage.RCode
	Records []dnsmessage.Resource
	// Truncated tells by UDP that there is more.
	Truncated bool
	// Silent answers nothing.
	Silent bool
	// Before are changes of the answer that are sent before it, each as a message.
	Before []func(*dnsmessage.Message)
}

// Server answers by UDP and TCP on one port of 127.0.0.1.
type Server struct {
	// Port is where it listens.
	Port uint16

	mu     sync.Mutex
	answer func(q dnsmessage.Question, network string) Reply
	asked  []string
}

// New starts a Server that ends with the test. The function is called for each question, with
// the names in lower case, from several goroutines; network is "udp" or "tcp".
func New(t testing.TB, answer func(q dnsmessage.Question, network string) Reply) *Server {
	t.Helper()
	s := &Server{answer: answer}
	var packets net.PacketConn
	var streams net.Listener
	for {
		var err error
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if streams, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			break
		}
		packets.Close()
	}
	s.Port = packets.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	var running sync.WaitGroup
	running.Go(func() { s.datagrams(packets) })
	running.Go(func() { s.connections(streams, &running) })
	t.Cleanup(func() {
		packets.Close()
		streams.Close()
		running.Wait()
	})
	return s
}

// Answer changes what is answered from now on.
func (s *Server) Answer(answer func(q dnsmessage.Question, network string) Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Asked returns the questions so far: "udp A name.".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// Conf writes a resolv.conf that names the server's address, with more lines, and an empty
// hosts file. It returns their paths.
func (s *Server) Conf(t testing.TB, lines ...string) (conf, hosts string) {
	t.Helper()
	dir := t.TempDir()
	conf, hosts = filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	text := strings.Join(append([]string{"nameserver 127.0.0.1", "search ."}, lines...), "\n") + "\n"
	for path, text := range map[string]string{conf: text, hosts: ""} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return conf, hosts
}

func (s *Server) datagrams(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, m := range s.messages(buf[:n], "udp") {
			conn.WriteTo(m, peer)
		}
	}
}

func (s *Server) connections(l net.Listener, running *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer conn.Close()
			var length [2]byte
			if _, err := io.ReadFull(conn, length[:]); err != nil {
				return
			}
			asked := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(conn, asked); err != nil {
				return
			}
			for _, m := range s.messages(asked, "tcp") {
				binary.BigEndian.PutUint16(length[:], uint16(len(m)))
				conn.Write(append(length[:], m...))
			}
		})
	}
}

func (s *Server) messages(asked []byte, network string) (list [][]byte) {
	var m dnsmessage.Message
	if err := m.Unpack(asked); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.ToLower(q.Name.String())
	s.mu.Lock()
	s.asked = append(s.asked, network+" "+strings.TrimPrefix(q.Type.String(), "Type")+" "+name)
	answer := s.answer
	s.mu.Unlock()
	r := answer(dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: q.Type, Class: q.Class}, network)
	if r.Silent {
		return nil
	}
	whole := func() dnsmessage.Message {
		return dnsmessage.Message{
			Header: dnsmessage.Header{
				ID: m.ID, Response: true, RCode: r.RCode, RecursionDesired: true, RecursionAvailable: true,
				Truncated: r.Truncated && network == "udp",
			},
			Questions: []dnsmessage.Question{q},
			Answers:   r.Records,
		}
	}
	for _, change := range append(r.Before, func(*dnsmessage.Message) {}) {
		m := whole()
		change(&m)
		m.Answers = slices.Clone(m.Answers) // Pack writes to them, and several servers may share them
		if b, err := m.Pack(); err == nil {
			list = append(list, b)
		}
	}
	return list
}

// Address returns the record of an address.
func Address(name string, ttl uint32, address string) dnsmessage.Resource {
	a := netip.MustParseAddr(address)
	h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl}
	if a.Is4() {
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}
}

// Alias returns the record of an alias.
func Alias(name string, ttl uint32, target string) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target)},
	}
}

// Records answers with those of the type that is asked for, and aliases.
func Records(records ...dnsmessage.Resource) func(dnsmessage.Question, string) Reply {
	return func(q dnsmessage.Question, _ string) (r Reply) {
		for _, record := range records {
			switch record.Body.(type) {
			case *dnsmessage.AResource:
				if q.Type != dnsmessage.TypeA {
					continue
				}
			case *dnsmessage.AAAAResource:
				if q.Type != dnsmessage.TypeAAAA {
					continue
				}
			}
			r.Records = append(r.Records, record)
		}
		return r
	}
}
