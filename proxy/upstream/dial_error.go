package upstream

import (
	ctls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode"
)

// TLSError says why there is no TLS with an endpoint.
type TLSError struct {
	// ServerName is what the certificate was to be for; empty where that was not asked.
	ServerName string
	// Err is the cause, as crypto/tls has it.
	Err error
}

// maxCause bounds what is told. A part of it comes from the peer.
const maxCause = 400

// Error returns "TLS: " and the cause in a line, of printable ASCII.
func (e *TLSError) Error() string {
	cause := strings.Map(func(r rune) rune {
		if r >= ' ' && r < unicode.MaxASCII {
			return r
		}
		return '?'
	}, e.cause())
	return "TLS: " + cause[:min(len(cause), maxCause)]
}

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// maxNames bounds the names of a certificate that an error tells.
const maxNames = 4

func (e *TLSError) cause() string {
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var plain ctls.RecordHeaderError
	var remote *net.OpError
	var late net.Error
	switch err := e.Err; {
	case errors.As(err, &host):
		return fmt.Sprintf("the certificate is for %s, not for %s", certified(host.Certificate), host.Host)
	case errors.As(err, &authority):
		if c := authority.Cert; c != nil {
			return fmt.Sprintf("the certificate of %q is signed by %q, which is not trusted", c.Subject.String(), c.Issuer.String())
		}
		return "the certificate is signed by an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return validity(invalid.Cert)
	case errors.As(err, &plain):
		return "the endpoint does not speak TLS"
	case errors.As(err, &remote) && remote.Op == "remote error":
		// That is how crypto/tls tells of an alert.
		return "the endpoint refused the handshake: " + strings.TrimPrefix(remote.Err.Error(), "tls: ")
	case errors.As(err, &late) && late.Timeout():
		return "the handshake took too long"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the endpoint closed the connection during the handshake"
	}
	return strings.TrimPrefix(e.Err.Error(), "tls: ")
}

// certified tells what a certificate is for.
func certified(c *x509.Certificate) string {
	var names []string
	if c != nil {
		names = append(names, c.DNSNames...)
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		for _, u := range c.URIs {
			names = append(names, u.String())
		}
	}
	switch n := len(names); {
	case n == 0:
		return "no name"
	case n > maxNames:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), n-maxNames)
	}
	return strings.Join(names, ", ")
}

func validity(c *x509.Certificate) string {
	if time.Now().Before(c.NotBefore) {
		return "the certificate is not valid before " + c.NotBefore.UTC().Format(time.RFC3339)
	}
	return "the certificate expired on " + c.NotAfter.UTC().Format(time.RFC3339)
}
