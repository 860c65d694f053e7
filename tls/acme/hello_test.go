package acme

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// A client gets a certificate that it can do with: its cipher suites count as much as its
// signatures.
func TestNeedsRSA(t *testing.T) {
	t.Parallel()
	ecdsaSuite, rsaSuite := tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	for name, c := range map[string]struct {
		client, server *tls.Config
		want           bool
	}{
		"modern":                    {want: false},
		"TLS 1.2":                   {client: &tls.Config{MaxVersion: tls.VersionTLS12}, want: false},
		"TLS 1.2, RSA suites":       {client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{rsaSuite}}, want: true},
		"TLS 1.2, ECDSA suites":     {client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{ecdsaSuite}}, want: false},
		"TLS 1.3, RSA suites below": {client: &tls.Config{CipherSuites: []uint16{rsaSuite}}, want: false},
		"the server has TLS 1.2":    {client: &tls.Config{CipherSuites: []uint16{rsaSuite}}, server: &tls.Config{MaxVersion: tls.VersionTLS12}, want: true},
		"the server has RSA suites": {client: &tls.Config{MaxVersion: tls.VersionTLS12}, server: &tls.Config{CipherSuites: []uint16{rsaSuite}}, want: true},
		"TLS 1.2, another curve":    {client: &tls.Config{MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP384}}, want: true},
		"TLS 1.3, another curve":    {client: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, want: false},
		"TLS 1.1":                   {client: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, server: &tls.Config{MinVersion: tls.VersionTLS10}, want: false},
		"TLS 1.1, RSA suites":       {client: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}, server: &tls.Config{MinVersion: tls.VersionTLS10}, want: true},
	} {
		a, b := net.Pipe()
		deadline := time.Now().Add(20 * time.Second)
		_, _ = a.SetDeadline(deadline), b.SetDeadline(deadline)
		got := make(chan bool, 1)
		client, server := &tls.Config{}, &tls.Config{}
		if c.client != nil {
			client = c.client
		}
		if c.server != nil {
			server = c.server
		}
		server.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			got <- needsRSA(hello)
			return nil, nil
		}
		client.ServerName = shop
		go func() {
			_ = tls.Client(b, client).Handshake()
			b.Close()
		}()
		err := tls.Server(a, server).Handshake()
		a.Close()
		select {
		case is := <-got:
			if is != c.want {
				t.Errorf("%s: needs RSA: %t", name, is)
			}
		default:
			t.Errorf("%s: the hello was not seen: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		hello *tls.ClientHelloInfo
		want  bool
	}{"modern": {modern(shop), false}, "legacy": {legacy(shop), true}} {
		if needsRSA(c.hello) != c.want {
			t.Errorf("an order's own hello: %s", name)
		}
	}
}
