package acme

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

// authority speaks as much of ACME as comes before it refuses an order.
type authority struct {
	*httptest.Server
	mu sync.Mutex
	// accounts and orders count what was asked for.
	accounts, orders int
	// refuse answers an order.
	refuse http.HandlerFunc
}

func newAuthority(t *testing.T, refuse http.HandlerFunc) *authority {
	t.Helper()
	a := &authority{refuse: refuse}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Replay-Nonce", fmt.Sprint(a.accounts, a.orders, time.Now().UnixNano()))
	switch r.URL.Path {
	case "/dir":
		json.NewEncoder(w).Encode(map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/order"})
	case "/account":
		a.accounts++
		w.Header().Set("Location", a.URL+"/account/1")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"status": "valid"}`)
	case "/order":
		a.orders++
		a.refuse(w, r)
	}
}

func (a *authority) counts() (accounts, orders int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accounts, a.orders
}

// refuse answers as RFC 8555 section 6.7 has it.
func refuse(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"type": "urn:ietf:params:acme:error:" + kind, "detail": detail})
}

// An authority that limits its orders is asked once, what it says is told at once, and it is left
// alone for as long as it says.
func TestRateLimited(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]string{"for how long": "7200", "and not for how long": ""} {
		a := newAuthority(t, func(w http.ResponseWriter, _ *http.Request) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			refuse(w, http.StatusTooManyRequests, "rateLimited", "too many certificates already issued")
		})
		m := manager(t, Options{Store: newMemory(), Directory: a.URL + "/dir"})
		m.Allow([]string{shop})
		await(t, name+": no problem is told of", func() bool {
			err := m.Problems()[shop]
			return err != nil && strings.Contains(err.Error(), "too many certificates")
		})
		if _, orders := a.counts(); orders != 1 {
			t.Errorf("%s: it was asked %d times", name, orders)
		}
	}
}

// An authority that has lost the account gets it back.
func TestLostAccount(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusBadRequest, "accountDoesNotExist", "no such account")
	})
	m := manager(t, Options{Store: newMemory(), Directory: a.URL + "/dir"})
	m.Allow([]string{shop})
	await(t, "no account is made anew", func() bool {
		accounts, orders := a.counts()
		return accounts > 1 && orders > 0
	})
	await(t, "no problem is told of", func() bool { return m.Problems()[shop] != nil })
	if accounts, _ := a.counts(); accounts != 2 {
		t.Errorf("%d accounts were made", accounts)
	}
}

// A certificate that is not renewed is told of long before it ends, with what the authority said.
func TestRenewalOverdue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		if err := store.Put(t.Context(), shop, issued(t, shop, time.Now())); err != nil {
			t.Fatal(err)
		}
		m := manager(t, Options{Store: store, Leads: never})
		m.Allow([]string{shop})
		time.Sleep(45 * time.Minute) // It is due since five minutes.
		if err := m.Problems()[shop]; err != nil {
			t.Errorf("it is told of too early: %v", err)
		}
		time.Sleep(5 * time.Minute)
		m.said.Store(&said{at: time.Now(), text: "the account is blocked"})
		err := m.Problems()[shop]
		if err == nil || !strings.Contains(err.Error(), "was to be renewed") || !strings.Contains(err.Error(), "the account is blocked") {
			t.Errorf("problem: %v", err)
		}
		if err := store.Put(t.Context(), shop, issued(t, shop, time.Now())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := m.Problems()[shop]; err != nil {
			t.Errorf("it is renewed, and told of: %v", err)
		}
	})
}

// How long an authority that limits its orders is left alone is its own word, within reason.
func TestNextTry(t *testing.T) {
	t.Parallel()
	limited := func(after string) error {
		return fmt.Errorf("order: %w", &acme.Error{ProblemType: "urn:ietf:params:acme:error:rateLimited", Header: http.Header{"Retry-After": {after}}})
	}
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"another error": {errBroken, time.Minute},
		"hours":         {limited("7200"), 2 * time.Hour},
		"a moment":      {limited("1"), time.Minute},
		"nonsense":      {limited("soon"), time.Minute},
		"years":         {limited("99999999"), longestWait},
	} {
		if got := nextTry(time.Minute, c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A host that no Gateway names any more is not ordered: autocert renews what it once had for good.
func TestOrdersOfTheNamed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "rejectedIdentifier", "not this one")
	})
	m := manager(t, Options{Store: newMemory(), Directory: a.URL + "/dir"})
	key, err := account(t.Context(), m.options.Store)
	if err != nil {
		t.Fatal(err)
	}
	m.client.Key = key
	if _, err := m.client.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	if _, err := m.client.AuthorizeOrder(t.Context(), acme.DomainIDs(shop)); err == nil || !strings.Contains(err.Error(), "no Gateway asks") {
		t.Errorf("a host that nobody names: %v", err)
	}
	if _, orders := a.counts(); orders != 0 {
		t.Errorf("%d orders came to the authority", orders)
	}
	m.Allow([]string{shop})
	await(t, "a host that is named is not ordered", func() bool {
		_, orders := a.counts()
		return orders > 0
	})
}

// An account that a crash has left empty in the store is made anew: nobody can be asked to remove
// it before certificates run out.
func TestEmptyAccount(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]Store{"memory": newMemory(), "folder": Dir(t.TempDir())} {
		if err := store.Put(t.Context(), accountEntry, []byte("\n")); err != nil {
			t.Fatal(err)
		}
		first, err := account(t.Context(), store)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		second, err := account(t.Context(), store)
		if err != nil || !first.(*ecdsa.PrivateKey).Equal(second) {
			t.Errorf("%s: the key is not kept: %v", name, err)
		}
	}
}

// Why a renewal was not even asked for is told of too.
func TestRenewalWithoutAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		for key, data := range map[string][]byte{shop: issued(t, shop, time.Now().Add(-55*time.Minute)), accountEntry: []byte("no key")} {
			if err := store.Put(t.Context(), key, data); err != nil {
				t.Fatal(err)
			}
		}
		m := manager(t, Options{Store: store})
		m.Allow([]string{shop})
		time.Sleep(time.Second)
		if err := m.Problems()[shop]; err == nil || !strings.Contains(err.Error(), "the account's key is no PEM") {
			t.Errorf("problem: %v", err)
		}
	})
}

// What is worked on is asked for again; who has enough, or says for how long it is away, is not.
func TestRetryPause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, n int
		after     string
		want      time.Duration
	}{
		{http.StatusBadRequest, 1, "", time.Second}, // A nonce that was used.
		{http.StatusServiceUnavailable, 3, "", 4 * time.Second},
		{http.StatusServiceUnavailable, maxTries + 1, "", 0},
		{http.StatusServiceUnavailable, 1, "5", 0},
		{http.StatusTooManyRequests, 1, "", 0},
		{http.StatusAccepted, 1, "", time.Second},
		{http.StatusAccepted, 20, "", 16 * time.Second},
		{http.StatusAccepted, 20, "3", 3 * time.Second},
		{http.StatusAccepted, 1, "3600", time.Minute},
	} {
		res := &http.Response{StatusCode: c.status, Header: http.Header{}}
		if c.after != "" {
			res.Header.Set("Retry-After", c.after)
		}
		if got := retryPause(c.n, nil, res); got != c.want {
			t.Errorf("%d, retry %d, Retry-After %q: %v, want %v", c.status, c.n, c.after, got, c.want)
		}
	}
}
