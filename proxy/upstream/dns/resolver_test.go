package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/proxy/upstream/dns/dnstest"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// resolver returns one that asks the server, with more lines in its resolv.conf.
func resolver(t testing.TB, s *dnstest.Server, lines ...string) *dns.Resolver {
	conf, hosts := s.Conf(t, lines...)
	return dns.New(dns.Options{Conf: conf, Hosts: hosts, Port: s.Port})
}

type question = dnsmessage.Question
type reply = dnstest.Reply

func coded(code dnsmessage.RCode) func(question, string) reply {
	return func(question, string) reply { return reply{RCode: code} }
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	a, alias := dnstest.Address, dnstest.Alias
	tests := map[string]struct {
		answer func(question, string) reply
		want   string // addresses and TTL, or the error
	}{
		"one address":           {dnstest.Records(a("x.test.", 30, "10.0.0.1")), "[10.0.0.1] 30s"},
		"both families":         {dnstest.Records(a("x.test.", 30, "fd00::1"), a("x.test.", 40, "10.0.0.1")), "[10.0.0.1 fd00::1] 30s"},
		"IPv6 only":             {dnstest.Records(a("x.test.", 7, "fd00::1")), "[fd00::1] 7s"},
		"the least TTL counts":  {dnstest.Records(a("x.test.", 30, "10.0.0.2"), a("x.test.", 20, "10.0.0.1")), "[10.0.0.2 10.0.0.1] 20s"},
		"through aliases":       {dnstest.Records(alias("x.test.", 5, "y.test."), alias("y.test.", 50, "z.test."), a("z.test.", 60, "10.0.0.1")), "[10.0.0.1] 5s"},
		"aliases out of order":  {dnstest.Records(a("z.test.", 60, "10.0.0.1"), alias("y.test.", 50, "z.test."), alias("x.test.", 70, "y.test.")), "[10.0.0.1] 50s"},
		"case does not matter":  {dnstest.Records(alias("X.test.", 5, "Y.TEST."), a("y.test.", 60, "10.0.0.1")), "[10.0.0.1] 5s"},
		"aliases in a circle":   {dnstest.Records(alias("x.test.", 5, "y.test."), alias("y.test.", 5, "x.test.")), "DNS: x.test: it has no addresses"},
		"records of others":     {dnstest.Records(a("evil.test.", 60, "10.6.6.6"), a("x.test.", 60, "10.0.0.1")), "[10.0.0.1] 1m0s"},
		"only records of other": {dnstest.Records(a("evil.test.", 60, "10.6.6.6")), "DNS: x.test: it has no addresses"},
		"blocked names":         {dnstest.Records(a("x.test.", 60, "0.0.0.0"), a("x.test.", 60, "::")), "DNS: x.test: it has no addresses"},
		"no TTL at all":         {dnstest.Records(a("x.test.", 0, "10.0.0.1")), "[10.0.0.1] 0s"},
		"a TTL that is none":    {dnstest.Records(a("x.test.", 1<<31+9, "10.0.0.1")), "[10.0.0.1] 0s"},
		"mapped IPv4":           {dnstest.Records(a("x.test.", 9, "::ffff:10.0.0.1")), "[10.0.0.1] 9s"},
		"no such name":          {coded(dnsmessage.RCodeNameError), "DNS: x.test: no such name"},
		"server failure":        {coded(dnsmessage.RCodeServerFailure), "DNS: x.test: the server failed (SERVFAIL)"},
		"refused":               {coded(dnsmessage.RCodeRefused), "DNS: x.test: the server refused the question"},
		"another code":          {coded(dnsmessage.RCodeNotImplemented), "DNS: x.test: the server answered NotImplemented"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := resolver(t, dnstest.New(t, test.answer))
			r.AwaitSecond(20 * time.Second)
			answer, err := r.Lookup(t.Context(), "x.test")
			got := fmt.Sprint(answer.Addrs, " ", answer.TTL)
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), " (asked 127.0.0.1:")
			}
			if got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// Messages that answer something else, or came from a guess, are passed over.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	evil := []dnsmessage.Resource{dnstest.Address("x.test.", 600, "10.6.6.6")}
	changes := map[string]func(*dnsmessage.Message){
		"another id":     func(m *dnsmessage.Message) { m.ID++ },
		"no response":    func(m *dnsmessage.Message) { m.Response = false },
		"no question":    func(m *dnsmessage.Message) { m.Questions = nil },
		"two questions":  func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) },
		"another name":   func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("y.test.") },
		"another type":   func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX },
		"another class":  func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS },
		"another opcode": func(m *dnsmessage.Message) { m.OpCode = 4 },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, func(q question, network string) reply {
				r := dnstest.Records(dnstest.Address("x.test.", 30, "10.0.0.1"))(q, network)
				r.Before = []func(*dnsmessage.Message){func(m *dnsmessage.Message) {
					m.Answers = evil
					change(m)
				}}
				return r
			})
			answer, err := resolver(t, s).Lookup(t.Context(), "x.test")
			if err != nil || !slices.Equal(answer.Addrs, []netip.Addr{netip.MustParseAddr("10.0.0.1")}) {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
}

// A long answer comes by TCP.
func TestTruncated(t *testing.T) {
	t.Parallel()
	var records []dnsmessage.Resource
	for i := range 200 {
		records = append(records, dnstest.Address("x.test.", 30, fmt.Sprintf("10.0.1.%d", i)))
	}
	s := dnstest.New(t, func(q question, network string) reply {
		if network == "udp" {
			return reply{Truncated: true}
		}
		return dnstest.Records(records...)(q, network)
	})
	answer, err := resolver(t, s).Lookup(t.Context(), "x.test")
	if err != nil || len(answer.Addrs) != 200 {
		t.Errorf("%d addresses, %v", len(answer.Addrs), err)
	}
	if asked := s.Asked(); !slices.Contains(asked, "tcp A x.test.") {
		t.Errorf("asked %v", asked)
	}
}

// use-vc asks by TCP alone.
func TestStreamsOnly(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, dnstest.Records(dnstest.Address("x.test.", 30, "10.0.0.1")))
	if _, err := resolver(t, s, "options use-vc").Lookup(t.Context(), "x.test"); err != nil {
		t.Fatal(err)
	}
	for _, q := range s.Asked() {
		if !strings.HasPrefix(q, "tcp ") {
			t.Errorf("asked %s", q)
		}
	}
}

// Names are asked for under the search domains, in the order of ndots.
func TestSearch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, options, asked string
	}{
		{"db", "", "db.ns.svc.test. db.svc.test. db."},
		{"a.db", "", "a.db. a.db.ns.svc.test. a.db.svc.test."},
		{"a.db", "options ndots:2", "a.db.ns.svc.test. a.db.svc.test. a.db."},
		{"a.db.", "options ndots:5", "a.db."},
	}
	for _, test := range tests {
		t.Run(test.name+" "+test.options, func(t *testing.T) {
			t.Parallel()
			s := dnstest.New(t, coded(dnsmessage.RCodeNameError))
			_, err := resolver(t, s, "search ns.svc.test svc.test.", test.options).Lookup(t.Context(), test.name)
			var told *dns.Error
			if !errors.As(err, &told) || !told.NotFound || told.Name != test.name {
				t.Errorf("error %v", err)
			}
			var asked []string
			for _, q := range s.Asked() {
				if name, ok := strings.CutPrefix(q, "udp A "); ok {
					asked = append(asked, name)
				}
			}
			if got := strings.Join(asked, " "); got != test.asked {
				t.Errorf("asked for %s\nwant %s", got, test.asked)
			}
		})
	}
}

// A search domain that exists is found, whatever others say.
func TestSearchFinds(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, func(q question, network string) reply {
		switch q.Name.String() {
		case "db.one.test.":
			return reply{RCode: dnsmessage.RCodeServerFailure}
		case "db.two.test.":
			return dnstest.Records(dnstest.Address("db.two.test.", 30, "10.0.0.1"))(q, network)
		}
		return reply{RCode: dnsmessage.RCodeNameError}
	})
	if answer, err := resolver(t, s, "search one.test two.test").Lookup(t.Context(), "db"); err != nil {
		t.Errorf("%v, %v", answer, err)
	}
	s.Answer(func(q question, network string) reply {
		if q.Name.String() == "db.one.test." {
			return reply{RCode: dnsmessage.RCodeServerFailure}
		}
		return reply{RCode: dnsmessage.RCodeNameError}
	})
	_, err := resolver(t, s, "search one.test two.test").Lookup(t.Context(), "db")
	var told *dns.Error
	if !errors.As(err, &told) || told.NotFound {
		t.Errorf("nobody knows whether db exists, but: %v", err)
	}
}

// A server that says nothing is asked again, then the lookup ends, as does one whose caller
// has gone.
func TestSilence(t *testing.T) {
	t.Parallel()
	silent := func(question, string) reply { return reply{Silent: true} }
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		s := dnstest.New(t, silent)
		began := time.Now()
		_, err := resolver(t, s, "options timeout:1 attempts:2").Lookup(t.Context(), "x.test.")
		if err == nil || !strings.Contains(err.Error(), "no answer in time") {
			t.Error(err)
		}
		took := time.Since(began)
		// The server may be behind.
		for end := began.Add(20 * time.Second); len(s.Asked()) < 4 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if took < 2*time.Second || took > 20*time.Second || len(s.Asked()) != 4 {
			t.Errorf("%v, asked %v", took, s.Asked())
		}
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		asked := make(chan bool, 4)
		s := dnstest.New(t, func(question, string) reply { asked <- true; return reply{Silent: true} })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		if _, err := resolver(t, s, "options timeout:30").Lookup(ctx, "x.test."); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Error(err)
		}
	})
}

// Of two families, one that fails does not hold up the other for long; but without an
// answer for IPv4 the result is known not to be the whole.
func TestOneFamilyFails(t *testing.T) {
	t.Parallel()
	both := dnstest.Records(dnstest.Address("x.test.", 30, "10.0.0.1"), dnstest.Address("x.test.", 30, "fd00::1"))
	only := func(works dnsmessage.Type, otherwise reply) func(question, string) reply {
		return func(q question, network string) reply {
			if q.Type == works {
				return both(q, network)
			}
			return otherwise
		}
	}
	tests := map[string]struct {
		answer func(question, string) reply
		want   dns.Answer
	}{
		"AAAA silent":    {only(dnsmessage.TypeA, reply{Silent: true}), dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, TTL: 30 * time.Second}},
		"AAAA fails":     {only(dnsmessage.TypeA, reply{RCode: dnsmessage.RCodeServerFailure}), dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, TTL: 30 * time.Second}},
		"A fails":        {only(dnsmessage.TypeAAAA, reply{RCode: dnsmessage.RCodeServerFailure}), dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")}, TTL: 30 * time.Second, Partial: true}},
		"A not existing": {only(dnsmessage.TypeAAAA, reply{}), dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")}, TTL: 30 * time.Second}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			// One that waited for the timeout would take twice that.
			got, err := resolver(t, dnstest.New(t, test.answer), "options timeout:20").Lookup(t.Context(), "x.test")
			if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%v, %v\nwant %v", got, err, test.want)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// The hosts file goes first, and both files are read again when they change.
func TestFiles(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, dnstest.Records(dnstest.Address("x.test.", 30, "10.0.0.1"), dnstest.Address("x.two.test.", 30, "10.0.0.3")))
	conf, hosts := s.Conf(t)
	r := dns.New(dns.Options{Conf: conf, Hosts: hosts, Port: s.Port})
	want := func(name, address string) {
		t.Helper()
		answer, err := r.Lookup(t.Context(), name)
		if err != nil || answer.Addrs[0] != netip.MustParseAddr(address) {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
	}
	want("x.test", "10.0.0.1")
	want("localhost", "127.0.0.1")
	want("::1", "::1")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(hosts, "# nothing\n10.0.0.2 X.test y # x\nfd00::2 x.test\nbad z\n")
	want("x.test", "10.0.0.2")
	want("Y", "10.0.0.2")
	write(hosts, "")
	write(conf, "nameserver 127.0.0.1\nsearch two.test\noptions ndots:2\n")
	want("x", "10.0.0.3")
	os.Remove(conf)
	want("x", "10.0.0.3")
}

// The second server is asked where the first does not answer.
func TestNextServer(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, dnstest.Records(dnstest.Address("x.test.", 30, "10.0.0.1")))
	_, hosts := s.Conf(t)
	conf := hosts + ".conf"
	// Nobody listens there: the system says so at once.
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.2\nnameserver 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := dns.New(dns.Options{Conf: conf, Hosts: hosts, Port: s.Port})
	if _, err := r.Lookup(t.Context(), "x.test"); err != nil {
		t.Error(err)
	}
}

func TestImpossibleNames(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, dnstest.Records())
	r := resolver(t, s)
	for _, name := range []string{"", ".", "a..b", ".a", "a b", "a/b", "ä.test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "test"} {
		var told *dns.Error
		if _, err := r.Lookup(t.Context(), name); !errors.As(err, &told) || !told.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
}
