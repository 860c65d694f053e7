package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// patience is how long a handshake waits for a certificate that is being issued.
	patience = 8 * time.Second
	// firstRetry and lastRetry bound the pause after a certificate could not be had; it
	// doubles in between. Authorities count failures, and autocert does not try again within
	// a minute.
	firstRetry = 65 * time.Second
	lastRetry  = 6 * time.Hour
	// atOnce is how many orders run at a time: authorities limit these too.
	atOnce = 8
)

// Options configure a Manager. Cache or Store is required.
type Options struct {
	// Email is told to the authority, for its warnings; it may be empty.
	Email string
	// Directory is the URL of the authority's directory; empty for Let's Encrypt.
	Directory string
	// Cache is a folder, made where it is missing, for the account's key and the
	// certificates. Only the owner can read what is put there.
	Cache string
	// Store, where not nil, is in Cache's place.
	Store Store
	// Leads says whether this replica is the one that orders and renews; the others hand out
	// what they find in the Store. It is asked often, and must answer from memory. nil is
	// always.
	Leads func() bool
	// Authorities is a PEM file by which the directory's own certificate is verified; empty
	// for the system's roots.
	Authorities string
	// RenewBefore is how long before its end a certificate is renewed; 0 for a third of its
	// life, at most 30 days.
	RenewBefore time.Duration
	// Logger is told what is issued and what fails; nil is silent.
	Logger *slog.Logger
}

// Manager has certificates issued, or hands out what another replica had issued. It is safe
// for concurrent use. Whoever makes one accepts the authority's terms of service.
type Manager struct {
	options    Options
	client     *acme.Client
	transport  *http.Transport
	certs      *autocert.Manager
	challenges challenges
	ctx        context.Context
	stop       context.CancelFunc
	// slots bounds the orders that run at a time.
	slots chan struct{}
	// said is why the authority refused something last, nil where it never did.
	said atomic.Pointer[said]
	// registered is when the account was last made anew, in Unix nanoseconds.
	registered atomic.Int64

	accounts sync.Mutex
	mu       sync.Mutex
	// orders are those of the hosts that are allowed, by their entry in the store; hosts that
	// old clients come to have a second, with RSA keys.
	orders map[string]*order
}

// New returns a Manager that has nothing issued yet: see Allow. Close ends what it runs.
func New(o Options) (*Manager, error) {
	switch {
	case o.Store != nil && o.Cache != "":
		return nil, errors.New("certificates are kept in a folder or in a store: not both")
	case o.Cache != "":
		o.Store = Dir(o.Cache)
	case o.Store == nil:
		return nil, errors.New("a folder for certificates is needed, or each start has them issued anew and soon meets the authority's limits")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{options: o, orders: map[string]*order{}, slots: make(chan struct{}, atOnce)}
	m.transport = http.DefaultTransport.(*http.Transport).Clone()
	if o.Authorities != "" {
		pem, err := os.ReadFile(o.Authorities)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", o.Authorities)
		}
		m.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.challenges.store, m.challenges.issues = o.Store, m.issues
	m.client = &acme.Client{
		DirectoryURL: cmp.Or(o.Directory, autocert.DefaultACMEDirectory), UserAgent: "sluice",
		HTTPClient:   &http.Client{Transport: gate{m: m, base: m.transport}, Timeout: time.Minute},
		RetryBackoff: retryPause,
	}
	m.certs = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: cache{m}, HostPolicy: m.allowed,
		Client: m.client, Email: o.Email, RenewBefore: o.RenewBefore,
	}
	// This is how autocert is told that HTTP-01 will do; the answers are in its cache.
	m.certs.HTTPHandler(nil)
	return m, nil
}

// Close ends the orders that run. Certificates that were issued are handed out still.
func (m *Manager) Close() {
	m.stop()
	m.transport.CloseIdleConnections()
}

// issues says whether this replica is the one that orders now.
func (m *Manager) issues() bool {
	return m.ctx.Err() == nil && (m.options.Leads == nil || m.options.Leads())
}

// account has the account's key ready for autocert.
func (m *Manager) account(ctx context.Context) (err error) {
	m.accounts.Lock()
	defer m.accounts.Unlock()
	if m.client.Key == nil {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		m.client.Key, err = account(ctx, m.options.Store)
	}
	return err
}

// order has autocert get a certificate, from the store or the authority.
func (m *Manager) order(ctx context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	select {
	case m.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type result struct {
		cert *tls.Certificate
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-m.slots }()
		cert, err := m.certs.GetCertificate(hello)
		done <- result{cert, err}
	}()
	select {
	case r := <-done:
		return r.cert, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// allowed is autocert's HostPolicy: a certificate is only ever asked for a host that the
// configuration names.
func (m *Manager) allowed(_ context.Context, host string) error {
	if m.orderOf(host) == nil {
		return fmt.Errorf("no Gateway asks for a certificate of %q", host)
	}
	return nil
}

// orderOf returns what becomes of an entry of the store, nil where it is not allowed.
func (m *Manager) orderOf(key string) *order {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.orders[key]
}

// Allow sets the hosts that the configuration names, in lower case. Certificates of those
// that are new are looked for, or ordered, at once, so that the first client finds them.
func (m *Manager) Allow(hosts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[string]bool, len(hosts))
	for _, host := range hosts {
		wanted[host] = true
		if m.orders[host] == nil && m.ctx.Err() == nil {
			m.orders[host] = m.newOrder(host, host, modern)
		}
	}
	for key, o := range m.orders {
		if !wanted[o.host] {
			o.cancel()
			delete(m.orders, key)
		}
	}
}

// withRSA returns the order of a host for clients that need RSA; it is made when the first of
// them comes.
func (m *Manager) withRSA(host string) *order {
	key := host + "+rsa"
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.orders[key] == nil && m.orders[host] != nil && m.ctx.Err() == nil {
		m.orders[key] = m.newOrder(key, host, legacy)
	}
	return m.orders[key]
}

// Certificate answers a client's hello: with the certificate of the host that it names,
// which must be one of hosts and of those that are allowed, or with the answer to a
// TLS-ALPN-01 challenge. It waits for a certificate that is being issued, but not for long.
func (m *Manager) Certificate(hello *tls.ClientHelloInfo, hosts []string) (*tls.Certificate, error) {
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	o := m.orderOf(host)
	if o == nil {
		return nil, fmt.Errorf("no Gateway asks for a certificate of %q", host)
	}
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return m.proof(host)
	}
	if needsRSA(hello) {
		if o = m.withRSA(host); o == nil {
			return nil, fmt.Errorf("no certificate with an RSA key for %q", host)
		}
	}
	if cert := o.cert.Load(); cert != nil {
		return cert, nil
	}
	if err := o.wait(); err != nil {
		return nil, err
	}
	return o.cert.Load(), nil
}

// proof is the certificate that answers a TLS-ALPN-01 challenge (RFC 8737 section 3).
func (m *Manager) proof(host string) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(m.ctx, challengePatience)
	defer cancel()
	data := m.challenges.get(ctx, host+"+token")
	if data == nil {
		return nil, fmt.Errorf("no challenge for %q is known", host)
	}
	cert, err := tls.X509KeyPair(data, data)
	return &cert, err
}

// Problems tells why certificates could not be had, or renewed though that is long due, by host.
func (m *Manager) Problems() map[string]error {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := map[string]error{}
	for _, o := range m.orders {
		if err := o.problem(); err != nil {
			list[o.host] = err
		}
	}
	return list
}
