package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"sync"
)

// modern is the hello of a client that can do with an ECDSA certificate.
func modern(host string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName:       host,
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
}

// legacy is the hello of one that needs RSA.
func legacy(host string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName:       host,
		SignatureSchemes: []tls.SignatureScheme{tls.PKCS1WithSHA256},
		SupportedCurves:  []tls.CurveID{tls.CurveP256},
		CipherSuites:     []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	}
}

// ecdsaKey stands for the keys of the certificates that are issued.
var ecdsaKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

// needsRSA says whether a client cannot do with an ECDSA certificate, by what both sides have of
// versions, signatures, curves and, before TLS 1.3, cipher suites.
func needsRSA(hello *tls.ClientHelloInfo) bool {
	key, err := ecdsaKey()
	if err != nil {
		return false
	}
	anyName := *hello
	anyName.ServerName = ""
	if len(hello.SupportedVersions) == 0 { // no handshake's
		anyName.SupportedVersions = []uint16{tls.VersionTLS13}
	}
	return anyName.SupportsCertificate(&tls.Certificate{PrivateKey: key}) != nil
}
