package dns

import (
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Whatever comes, what is taken from it answers the question.
func FuzzRead(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("x.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 5}
	for _, m := range []dnsmessage.Message{
		{Header: dnsmessage.Header{ID: 7, Response: true}, Questions: []dnsmessage.Question{q}, Answers: []dnsmessage.Resource{
			{Header: h, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}}},
			{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: q.Name}},
			{Header: h, Body: &dnsmessage.AAAAResource{}},
		}},
		{Header: dnsmessage.Header{ID: 7, Response: true, Truncated: true}, Questions: []dnsmessage.Question{q}},
		{Header: dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: []dnsmessage.Question{q}},
	} {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, ours := read(message, 7, q)
		if !ours {
			if len(r.addrs) > 0 || r.err != nil {
				t.Errorf("a foreign message says %+v", r)
			}
			return
		}
		if r.err == nil && !r.truncated && len(r.addrs) == 0 {
			t.Errorf("neither addresses nor an error: %+v", r)
		}
		for _, a := range r.addrs {
			if !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
				t.Errorf("address %v", a)
			}
		}
		if r.ttl < 0 || len(r.addrs) > maxAddrs {
			t.Errorf("%+v", r)
		}
	})
}

// Whatever resolv.conf says, there is somebody to ask, a bounded number of times.
func FuzzConf(f *testing.F) {
	f.Add("nameserver 10.0.0.1\nsearch a.test b.test\noptions ndots:5 timeout:3 attempts:9 rotate use-vc\n", "db")
	f.Add("; x\ndomain a.test.\nnameserver fe80::1%eth0\noptions ndots:-1 timeout:0", "a.b.c")
	f.Fuzz(func(t *testing.T, text, name string) {
		c := parseConf(text)
		if len(c.servers) == 0 || len(c.servers) > maxServers || c.attempts < 1 || c.attempts > maxAttempts ||
			c.timeout <= 0 || c.ndots < 0 || c.ndots > maxNdots || len(c.search) > maxSearch {
			t.Fatalf("%+v", c)
		}
		for _, full := range c.names(name) {
			if !strings.HasSuffix(full, ".") {
				t.Errorf("%q is no full name", full)
			}
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 ip6-localhost # x\n10.0.0.1\tdb DB. db\n", "db")
	f.Fuzz(func(t *testing.T, text, name string) {
		for _, a := range parseHosts(text).lookup(name) {
			if !a.IsValid() {
				t.Errorf("%q: %v", name, a)
			}
		}
	})
}
