package acme

import (
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
)

// Options configure a Manager. Cache is required.
type Options struct {
	// Email is told to the authority, for its warnings; it may be empty.
	Email string
	// Directory is the URL of the authority's directory; empty for Let's Encrypt.
	Directory string
	// Cache is a folder, made where it is missing, for the account's key and the
	// certificates. Only the owner can read what is put there.
	Cache string
	// Authorities is a PEM file by which the directory's own certificate is verified; empty
	// for the system's roots.
	Authorities string
	// RenewBefore is how long before its end a certificate is renewed; 0 for a third of its
	// life, at most 30 days.
	RenewBefore time.Duration
	// Logger is told what is issued and what fails; nil is silent.
	Logger *slog.Logger
}

// Manager has certificates issued. It is safe for concurrent use. Whoever makes one accepts
// the authority's terms of service.
type Manager struct {
	options   Options
	certs     *autocert.Manager
	challenge http.Handler
	ctx       context.Context
	stop      context.CancelFunc

	mu    sync.Mutex
	hosts map[string]*order
}

// order is what became of a host's certificate.
type order struct {
	cancel context.CancelFunc
	// ready is closed when there is a certificate.
	ready chan struct{}
	// last is why the last try failed; the Manager's lock guards it.
	last error
}

// New returns a Manager that has nothing issued yet: see Allow. Close ends what it runs.
func New(o Options) (*Manager, error) {
	if o.Cache == "" {
		return nil, errors.New("a folder for certificates is needed, or each start has them issued anew and soon meets the authority's limits")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	client := &acme.Client{DirectoryURL: o.Directory, UserAgent: "sluice"}
	if o.Authorities != "" {
		pem, err := os.ReadFile(o.Authorities)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", o.Authorities)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		client.HTTPClient = &http.Client{Transport: transport, Timeout: time.Minute}
	}
	m := &Manager{options: o, hosts: map[string]*order{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.certs = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Cache), HostPolicy: m.allowed,
		Client: client, Email: o.Email, RenewBefore: o.RenewBefore,
	}
	m.challenge = m.certs.HTTPHandler(http.NotFoundHandler())
	return m, nil
}

// Close ends the orders that run. Certificates that were issued are handed out still.
func (m *Manager) Close() { m.stop() }

// allowed is autocert's HostPolicy: a certificate is only ever asked for a host that the
// configuration names.
func (m *Manager) allowed(_ context.Context, host string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hosts[host] == nil {
		return fmt.Errorf("no Gateway asks for a certificate of %q", host)
	}
	return nil
}

// Allow sets the hosts that the configuration names, in lower case. Certificates of those
// that are new are ordered at once, so that the first client finds them.
func (m *Manager) Allow(hosts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[string]bool, len(hosts))
	for _, host := range hosts {
		wanted[host] = true
		if m.hosts[host] == nil && m.ctx.Err() == nil {
			ctx, cancel := context.WithCancel(m.ctx)
			o := &order{cancel: cancel, ready: make(chan struct{})}
			m.hosts[host] = o
			go m.follow(ctx, host, o)
		}
	}
	for host, o := range m.hosts {
		if !wanted[host] {
			o.cancel()
			delete(m.hosts, host)
		}
	}
}

// follow orders a host's certificate until there is one. From then on autocert renews it.
func (m *Manager) follow(ctx context.Context, host string, o *order) {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		cert, err := m.certs.GetCertificate(modern(host))
		if err == nil {
			m.options.Logger.Info("certificate at hand", "host", host, "expires", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
			close(o.ready)
			return
		}
		if ctx.Err() != nil {
			return
		}
		m.mu.Lock()
		o.last = err
		m.mu.Unlock()
		m.options.Logger.Warn("certificate could not be had; it is tried again", "host", host, "after", pause, "error", err.Error())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// modern is the hello of a client that can do with an ECDSA certificate.
func modern(host string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName:       host,
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
}

// Certificate answers a client's hello: with the certificate of the host that it names,
// which must be one of hosts and of those that are allowed, or with the answer to a
// TLS-ALPN-01 challenge. It waits for a certificate that is being issued, but not for long.
func (m *Manager) Certificate(hello *tls.ClientHelloInfo, hosts []string) (*tls.Certificate, error) {
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	m.mu.Lock()
	o := m.hosts[host]
	m.mu.Unlock()
	if o == nil {
		return nil, fmt.Errorf("no Gateway asks for a certificate of %q", host)
	}
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return m.certs.GetCertificate(hello)
	}
	select {
	case <-o.ready:
	default:
		if err := m.wait(host, o); err != nil {
			return nil, err
		}
	}
	return m.certs.GetCertificate(hello)
}

// wait waits for a host's first certificate.
func (m *Manager) wait(host string, o *order) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-o.ready:
		return nil
	case <-timer.C:
	case <-m.ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.last != nil {
		return fmt.Errorf("the certificate of %s could not be had: %w", host, o.last)
	}
	return fmt.Errorf("the certificate of %s is being issued", host)
}

// Problems tells why the certificates that are missing could not be had, by host.
func (m *Manager) Problems() map[string]error {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := map[string]error{}
	for host, o := range m.hosts {
		select {
		case <-o.ready:
		default:
			if o.last != nil {
				list[host] = o.last
			}
		}
	}
	return list
}
