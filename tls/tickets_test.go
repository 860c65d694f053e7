package tls

import (
	"bytes"
	ctls "crypto/tls"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// oneSession remembers one session, whatever server it is of, as an attacker would.
type oneSession struct{ session *ctls.ClientSessionState }

func (c *oneSession) Get(string) (*ctls.ClientSessionState, bool) { return c.session, c.session != nil }
func (c *oneSession) Put(_ string, session *ctls.ClientSessionState) {
	if session != nil {
		c.session = session
	}
}

// Sessions are resumed under the server name and the demands under which they began, and
// nowhere else.
func TestResumption(t *testing.T) {
	t.Parallel()
	root, clients, others := newRoot(t, "servers"), newRoot(t, "clients"), newRoot(t, "others")
	cert := root.host(t, "*.example.com")
	alice := clients.client(t, "alice")
	mutual := func(change func(*router.ServerTLS)) *router.ServerTLS {
		settings := simple("shop")
		settings.ClientAuth = router.RequireClientCertificate
		settings.Authorities.Secrets = []string{"default/clients"}
		if change != nil {
			change(settings)
		}
		return settings
	}
	chains := map[string]*router.ServerTLS{
		"simple":       simple("shop"),
		"other simple": {Certificates: simple("shop").Certificates},
		"mutual":       mutual(nil),
		"same mutual":  mutual(func(s *router.ServerTLS) { s.Protocols = nil }),
		"optional":     mutual(func(s *router.ServerTLS) { s.ClientAuth = router.OptionalClientCertificate }),
		"other CA":     mutual(func(s *router.ServerTLS) { s.Authorities.Secrets = []string{"default/both"} }),
		"other names":  mutual(func(s *router.ServerTLS) { s.SubjectAltNames = []string{"spiffe://cluster.local/ns/default/sa/alice"} }),
	}
	spec := &router.Spec{Secrets: []*router.Secret{secretOf("shop", cert), secretOf("clients", nil, clients), secretOf("both", nil, clients, others)}}
	listener := &router.Listener{}
	for name, settings := range chains {
		listener.Chains = append(listener.Chains, &router.Chain{Name: name, TLS: settings})
	}
	spec.Listeners = []*router.Listener{listener}
	s := newStore(t, Options{})
	s.Update(spec)

	for _, tt := range []struct {
		first, second, firstName, secondName string
		want                                 bool
	}{
		{"simple", "simple", "a.example.com", "a.example.com", true},
		{"simple", "simple", "a.example.com", "A.example.com", true},
		{"simple", "simple", "a.example.com", "b.example.com", false},
		{"simple", "simple", "a.example.com", "", false},
		{"simple", "other simple", "a.example.com", "a.example.com", true},
		{"simple", "mutual", "a.example.com", "a.example.com", false},
		{"mutual", "mutual", "a.example.com", "a.example.com", true},
		{"mutual", "same mutual", "a.example.com", "a.example.com", true},
		{"mutual", "mutual", "a.example.com", "b.example.com", false},
		{"mutual", "simple", "a.example.com", "a.example.com", false},
		{"mutual", "optional", "a.example.com", "a.example.com", false},
		{"optional", "mutual", "a.example.com", "a.example.com", false},
		{"mutual", "other CA", "a.example.com", "a.example.com", false},
		{"mutual", "other names", "a.example.com", "a.example.com", false},
	} {
		for _, version := range []uint16{ctls.VersionTLS12, ctls.VersionTLS13} {
			t.Run(fmt.Sprintf("%s for %q, then %s for %q/%s", tt.first, tt.firstName, tt.second, tt.secondName, ctls.VersionName(version)), func(t *testing.T) {
				cache := &oneSession{}
				config := &ctls.Config{
					RootCAs: pool(root), ServerName: tt.firstName, ClientSessionCache: cache, MaxVersion: version,
					Certificates: []ctls.Certificate{alice.tls()}, InsecureSkipVerify: true,
				}
				r := s.shake(chains[tt.first], config)
				expect(t, r.err(), "")
				if cache.session == nil || r.server.DidResume {
					t.Fatal("the first handshake gave no session")
				}
				config = config.Clone()
				config.ServerName = tt.secondName
				r = s.shake(chains[tt.second], config)
				expect(t, r.err(), "")
				if r.server.DidResume != tt.want {
					t.Fatalf("resumed: %v", r.server.DidResume)
				}
				state := s.State(chains[tt.second], r.server)
				if state.Resumed != tt.want || state.ServerName != strings.ToLower(tt.secondName) {
					t.Fatalf("state is %+v", state)
				}
				if mutual := chains[tt.second].ClientAuth != router.NoClientCertificate; mutual != (state.Peer != nil) {
					t.Fatalf("peer is %+v", state.Peer)
				}
				if !state.Covers("c.example.com") || state.Covers("example.com") {
					t.Fatal("covers other hosts than its certificate")
				}
			})
		}
	}
}

// A client whose certificate is revoked, or whose authority is taken out, resumes nothing.
func TestResumptionAfterChange(t *testing.T) {
	t.Parallel()
	root, clients, others := newRoot(t, "servers"), newRoot(t, "clients"), newRoot(t, "others")
	alice := clients.client(t, "alice")
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/ca"}
	tomorrow := time.Now().Add(24 * time.Hour)
	good := secretOf("ca", nil, clients)
	good.CRL = clients.revoke(t, tomorrow)
	revoked := secretOf("ca", nil, clients)
	revoked.CRL = clients.revoke(t, tomorrow, alice)
	for name, tt := range map[string]struct {
		then *router.Secret
		want string
	}{
		"revoked":  {revoked, "is revoked"},
		"other CA": {secretOf("ca", nil, others), "unknown authority"},
	} {
		for _, version := range []uint16{ctls.VersionTLS12, ctls.VersionTLS13} {
			s := newStore(t, Options{})
			spec := serverSpec(settings, secretOf("shop", root.host(t, "shop.example.com")), good)
			s.Update(spec)
			config := &ctls.Config{
				RootCAs: pool(root), ServerName: "shop.example.com", ClientSessionCache: &oneSession{}, MaxVersion: version,
				GetClientCertificate: func(*ctls.CertificateRequestInfo) (*ctls.Certificate, error) { c := alice.tls(); return &c, nil },
			}
			r := s.shake(settings, config)
			expect(t, r.err(), "")
			before := r.server
			policy := s.State(settings, before).Policy
			if r = s.shake(settings, config); !r.server.DidResume {
				t.Fatal("nothing to resume")
			}
			s.Update(serverSpec(settings, spec.Secrets[0], tt.then))
			r = s.shake(settings, config)
			expect(t, r.serverErr, tt.want)
			// What was verified by what is no longer in force does not meet the demand.
			if got := s.State(settings, before).Policy; got != staleDemand || policy == "" || s.Policy(settings) == policy {
				t.Errorf("%s: policy was %q, is %q", name, policy, got)
			}
		}
	}
}

func TestTicketRotation(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	s := newStore(t, Options{Clock: clock})
	settings := simple("shop")
	cert := root.host(t, "shop.example.com")
	s.Update(serverSpec(settings, secretOf("shop", cert)))
	config := &ctls.Config{InsecureSkipVerify: true, ServerName: "shop.example.com", ClientSessionCache: &oneSession{}}
	expect(t, s.shake(settings, config).err(), "")
	for day := 1; day <= 3*ticketsKept; day++ {
		offset.Add(int64(ticketRotation))
		keys, err := s.tickets.current()
		must(t, err)
		if want := min(day+1, ticketsKept); len(keys) != want {
			t.Fatalf("on day %d there are %d keys, want %d", day, len(keys), want)
		}
		if age := clock().Sub(keys[0].created); age > time.Minute {
			t.Fatalf("on day %d the first key is %v old", day, age)
		}
	}
	if r := s.shake(settings, config); r.err() != nil || r.server.DidResume {
		t.Fatalf("three weeks later resumed: %v, %v", r.server.DidResume, r.err())
	}
}

// Replicas with the same file resume each other's sessions, old keys open, and the file is
// followed.
func TestSharedTicketKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tickets")
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 48)) + "\n" }
	root := newRoot(t, "servers")
	secret := secretOf("shop", root.host(t, "shop.example.com"))
	settings := simple("shop")
	replica := func() *Store {
		s := newStore(t, Options{TicketKeys: path})
		s.Update(serverSpec(settings, secret))
		return s
	}
	config := func() *ctls.Config {
		return &ctls.Config{RootCAs: pool(root), ServerName: "shop.example.com", ClientSessionCache: &oneSession{}}
	}
	early := replica()
	if p := early.Problems(); len(p) != 1 || !strings.Contains(p[0].Err, "does not exist") {
		t.Fatalf("problems are %+v", p)
	}
	expect(t, early.shake(settings, config()).err(), "")
	write(t, path, []byte("# one\n\n"+line(1)))
	eventually(t, "the file of ticket keys", func() bool { return len(early.Problems()) == 0 })
	one, other := config(), replica()
	expect(t, early.shake(settings, one).err(), "")
	if r := other.shake(settings, one); r.err() != nil || !r.server.DidResume {
		t.Fatalf("the other replica resumed: %v, %v", r.server.DidResume, r.err())
	}
	first := func(s *Store) [ticketName]byte {
		keys, _ := s.tickets.current()
		return keys[0].name
	}
	was := first(other)
	write(t, path, []byte(line(2)+line(1)))
	eventually(t, "new keys", func() bool { return first(other) != was })
	if r := other.shake(settings, one); r.err() != nil || !r.server.DidResume {
		t.Fatalf("a session of the old key resumed: %v, %v", r.server.DidResume, r.err())
	}
	was = first(other)
	write(t, path, []byte("broken\n"))
	eventually(t, "a problem", func() bool { return len(other.Problems()) == 1 })
	if p := other.Problems()[0]; strings.Contains(p.Err, "broken\n") || !strings.Contains(p.Err, "line 1 is not base64") || first(other) != was {
		t.Fatalf("problem is %+v", p)
	}
}

func TestParseTicketKeys(t *testing.T) {
	t.Parallel()
	key := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, want := range map[string]string{
		"":                       "no key",
		"# nothing\n \n":         "no key",
		key(32):                  "",
		key(80) + "\r\n":         "",
		key(31):                  "line 1 has 31 bytes",
		key(32) + "\n" + key(81): "line 2 has 81 bytes",
		"secret!":                "line 1 is not base64",
		strings.Repeat(key(32)+"\n", maxTicketKeys):   "",
		strings.Repeat(key(32)+"\n", maxTicketKeys+1): "more than 64 keys",
	} {
		_, err := ParseTicketKeys([]byte(text))
		expect(t, err, want)
	}
	keys, err := ParseTicketKeys([]byte(key(32)))
	must(t, err)
	sealer, err := newTicketKey(keys[0], time.Now())
	must(t, err)
	if got := fmt.Sprintf("%v %+v %#v %s", keys, sealer, sealer, sealer); strings.Count(got, "[redacted]") != 4 || len(got) > 60 {
		t.Fatalf("keys print as %s", got)
	}
}

func FuzzTicketKeys(f *testing.F) {
	f.Add([]byte("# x\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	f.Add([]byte("\x00\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseTicketKeys(text)
		if (err == nil) != (len(keys) > 0) || len(keys) > maxTicketKeys {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, key := range keys {
			if len(key) < minTicketKey || len(key) > maxTicketKey {
				t.Fatalf("a key of %d bytes", len(key))
			}
		}
		// What is no ticket opens nothing, and breaks nothing.
		tickets, err := newTickets(time.Now)
		must(t, err)
		if session, err := tickets.unwrap("p")(text, ctls.ConnectionState{}); session != nil || err != nil {
			t.Fatalf("unwrapped %v, %v", session, err)
		}
	})
}

// A client that shows more than a ticket has room for, such as all the authorities that it knows, is
// let in, and its session not resumed.
func TestLargeSession(t *testing.T) {
	t.Parallel()
	host, clients := newRoot(t, "servers"), newRoot(t, "clients")
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/ca"}
	s := newStore(t, Options{})
	s.Update(serverSpec(settings, secretOf("shop", host.host(t, "shop.example.com")), secretOf("ca", nil, clients)))
	shown := clients.client(t, "good").tls()
	for size := 0; size < 100<<10; {
		other := newRoot(t, strings.Repeat("other ", 100)).cert.Raw
		size += len(other)
		shown.Certificate = append(shown.Certificate, other)
	}
	for _, version := range []uint16{ctls.VersionTLS12, ctls.VersionTLS13} {
		client := &ctls.Config{RootCAs: pool(host), ServerName: "shop.example.com", MaxVersion: version, Certificates: []ctls.Certificate{shown}, ClientSessionCache: ctls.NewLRUClientSessionCache(1)}
		for range 2 {
			r := s.shake(settings, client)
			expect(t, r.err(), "")
			if r.server.DidResume {
				t.Error("it was resumed")
			}
		}
	}
}
