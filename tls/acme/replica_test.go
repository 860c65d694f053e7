package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const shop = "shop.example.com"

func never() bool { return false }

// A replica that does not lead hands out what the store has, old and new, and asks no authority.
func TestFollower(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	authority := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer authority.Close()
	store := newMemory()
	m := manager(t, Options{Store: store, Leads: never, Directory: authority.URL})
	m.Allow([]string{shop})
	begin := time.Now().Add(-50 * time.Minute) // Due: a third of its life is not left.
	got := make(chan *tls.Certificate)
	go func() {
		cert, err := m.Certificate(modern(shop), []string{shop})
		if err != nil {
			t.Error(err)
		}
		got <- cert
	}()
	if err := store.Put(t.Context(), shop, issued(t, shop, begin)); err != nil {
		t.Fatal(err)
	}
	cert := <-got
	if cert == nil || cert.Leaf.SerialNumber.Int64() != begin.Unix() {
		t.Fatal("the stored certificate was not handed out to who waited")
	}
	next := time.Now()
	if err := store.Put(t.Context(), shop, issued(t, shop, next)); err != nil {
		t.Fatal(err)
	}
	await(t, "the renewed certificate is not handed out", func() bool {
		cert, err := m.Certificate(modern(shop), []string{shop})
		return err == nil && cert.Leaf.SerialNumber.Int64() == next.Unix()
	})
	if n := asked.Load(); n != 0 {
		t.Errorf("the authority was asked %d times", n)
	}
	if _, err := m.Certificate(modern("stranger.example.com"), nil); err == nil {
		t.Error("a stranger's name got a certificate")
	}
}

// The gate is shut to whoever does not lead, at once.
func TestGate(t *testing.T) {
	t.Parallel()
	authority := httptest.NewServer(http.NotFoundHandler())
	defer authority.Close()
	var leads atomic.Bool
	m := manager(t, Options{Store: newMemory(), Leads: leads.Load, Directory: authority.URL})
	ask := func() error {
		r, err := m.client.HTTPClient.Get(authority.URL)
		if err == nil {
			r.Body.Close()
		}
		return err
	}
	if ask() == nil {
		t.Error("a follower may ask the authority")
	}
	leads.Store(true)
	if err := ask(); err != nil {
		t.Error(err)
	}
	leads.Store(false)
	if ask() == nil {
		t.Error("one that led may ask the authority")
	}
}

// Only one account is made, whoever begins.
func TestOneAccount(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]Store{"memory": newMemory(), "folder": Dir(t.TempDir() + "/new")} {
		var keys sync.Map
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				key, err := account(t.Context(), store)
				if err != nil {
					t.Error(err)
					return
				}
				der, err := x509.MarshalPKIXPublicKey(key.Public())
				if err != nil {
					t.Error(err)
				}
				keys.Store(string(der), true)
			})
		}
		all.Wait()
		n := 0
		keys.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%s: %d keys for one account", name, n)
		}
	}
}

// Any replica answers any challenge, however many strangers ask for others.
func TestChallenges(t *testing.T) {
	t.Parallel()
	store := newMemory()
	leader := manager(t, Options{Store: store})
	follower := manager(t, Options{Store: store, Leads: never})
	follower.Allow([]string{shop})
	if _, ok := follower.Challenge(shop, ChallengePrefix+"one"); ok {
		t.Fatal("an answer from nowhere")
	}
	ctx := t.Context()
	proof := issued(t, shop, time.Now().Add(-time.Minute))
	c := cache{leader}
	for key, data := range map[string]string{"one+http-01": "one.print", "two+http-01": "two.print", shop + "+token": string(proof)} {
		if err := c.Put(ctx, key, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	before := store.readsOf(challengesEntry)
	begun := time.Now()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, ok := follower.Challenge(shop, ChallengePrefix+"strange"); ok {
				t.Error("an answer to a stranger")
			}
		})
		all.Go(func() {
			if answer, ok := follower.Challenge(shop, ChallengePrefix+"two"); !ok || string(answer) != "two.print" {
				t.Errorf("the answer is %q, %v", answer, ok)
			}
		})
	}
	all.Wait()
	if reads, most := store.readsOf(challengesEntry)-before, 2+int(time.Since(begun)/challengesAge); reads > most {
		t.Errorf("the store was read %d times, %d would do", reads, most)
	}
	hello := &tls.ClientHelloInfo{ServerName: shop, SupportedProtos: []string{"acme-tls/1"}}
	if cert, err := follower.Certificate(hello, []string{shop}); err != nil || cert.Leaf.VerifyHostname(shop) != nil {
		t.Errorf("TLS-ALPN-01 is not answered: %v", err)
	}
	if err := c.Delete(ctx, "two+http-01"); err != nil {
		t.Fatal(err)
	}
	for path, host := range map[string]string{ChallengePrefix + "two": shop, ChallengePrefix + "one": "other.example.com", ChallengePrefix + "a/b": shop, ChallengePrefix: shop, "/one": shop} {
		if answer, ok := follower.Challenge(host, path); ok {
			t.Errorf("%s%s is answered by %q", host, path, answer)
		}
	}
}

// A certificate that is not in force yet, by the clock of a replica, is handed out once it is.
func TestEarlyCertificate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		begin := time.Now().Add(2 * time.Second)
		if err := store.Put(t.Context(), shop, issued(t, shop, begin)); err != nil {
			t.Fatal(err)
		}
		m := manager(t, Options{Store: store, Leads: never})
		m.Allow([]string{shop})
		if cert, err := m.Certificate(modern(shop), []string{shop}); err != nil || cert.Leaf.SerialNumber.Int64() != begin.Unix() {
			t.Error(err)
		}
	})
}

// One that led, and whose orders end, does not take away the answers of the one that leads now,
// nor answers with its own.
func TestChallengesOfTheNext(t *testing.T) {
	t.Parallel()
	store := newMemory()
	var leads atomic.Bool
	leads.Store(true)
	first := manager(t, Options{Store: store, Leads: leads.Load})
	next := manager(t, Options{Store: store, Leads: func() bool { return !leads.Load() }})
	follower := manager(t, Options{Store: store, Leads: never})
	first.Allow([]string{shop})
	follower.Allow([]string{shop})
	put := func(m *Manager, key, answer string) {
		t.Helper()
		if err := (cache{m}).Put(t.Context(), key, []byte(answer)); err != nil {
			t.Error(err)
		}
	}
	put(first, "old+http-01", "old")
	put(first, "same+http-01", "of the first")
	leads.Store(false)
	put(next, "new+http-01", "new")
	put(next, "same+http-01", "of the next")
	if err := (cache{first}).Delete(t.Context(), "old+http-01"); err != nil {
		t.Error(err)
	}
	put(first, "late+http-01", "late")
	for token, want := range map[string]string{"old": "", "late": "", "new": "new", "same": "of the next"} {
		for name, m := range map[string]*Manager{"first": first, "follower": follower} {
			if answer, _ := m.Challenge(shop, ChallengePrefix+token); string(answer) != want {
				t.Errorf("%s: the answer to %s is %q, want %q", name, token, answer, want)
			}
		}
	}
}

// A certificate that cannot be stored is handed out, and stored later.
func TestUnsaved(t *testing.T) {
	t.Parallel()
	store := newMemory()
	m := manager(t, Options{Store: store, Leads: never})
	m.Allow([]string{shop})
	store.setBroken(true)
	data := issued(t, shop, time.Now().Add(-50*time.Minute))
	if err := (cache{m}).Put(t.Context(), shop, data); err != nil {
		t.Fatal(err)
	}
	if cert, err := m.Certificate(modern(shop), []string{shop}); err != nil || cert == nil {
		t.Fatalf("it is not handed out: %v", err)
	}
	if got, err := (cache{m}).Get(t.Context(), shop); err != nil || string(got) != string(data) {
		t.Fatalf("autocert does not see it: %v", err)
	}
	store.setBroken(false)
	await(t, "it is not stored", func() bool {
		got, err := store.Get(context.Background(), shop)
		return err == nil && string(got) == string(data)
	})
}

// Problems tells of a store that cannot be asked, and no more once it can.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	store := newMemory()
	store.setBroken(true)
	m := manager(t, Options{Store: store, Leads: never})
	m.Allow([]string{shop})
	await(t, "no problem is told of", func() bool { return m.Problems()[shop] != nil })
	store.setBroken(false)
	await(t, "the problem stays", func() bool { return m.Problems()[shop] == nil })
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no place":     {},
		"two places":   {Cache: "x", Store: newMemory()},
		"no authority": {Store: newMemory(), Authorities: "/nowhere"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
