package acme

import "crypto/tls"

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

// needsRSA says whether a client cannot do with an ECDSA certificate.
func needsRSA(hello *tls.ClientHelloInfo) bool {
	if len(hello.SignatureSchemes) > 0 {
		for _, s := range hello.SignatureSchemes {
			if s == tls.ECDSAWithP256AndSHA256 {
				return false
			}
		}
		return true
	}
	// Before TLS 1.2 there were no schemes: the cipher suites tell.
	for _, s := range hello.CipherSuites {
		switch s {
		case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:
			return false
		}
	}
	return true
}
