package validate

import (
	"crypto/tls"

	"github.com/sluicegate/sluice/config"
)

// openSSLSuites are the suites that Istio knows, by the names of OpenSSL that it uses (the
// API's comment on ServerTLSSettings.cipherSuites).
var openSSLSuites = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	"DES-CBC3-SHA":                  tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
}

// insecureSuites are those that crypto/tls has for old peers only, by number.
var insecureSuites = func() map[uint16]bool {
	insecure := map[uint16]bool{}
	for _, s := range tls.InsecureCipherSuites() {
		insecure[s.ID] = true
	}
	return insecure
}()

// allSuites are those that a server can be told to use for TLS 1.2 and older, by OpenSSL's
// names and by those of the IANA. Of the insecure ones only those that Istio has are there.
var allSuites = func() map[string]uint16 {
	all, names := map[string]uint16{}, map[uint16]bool{}
	for name, id := range openSSLSuites {
		all[name], names[id] = id, true
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if names[s.ID] {
			all[s.Name] = s.ID
		}
	}
	return all
}()

// CipherSuites returns the numbers of the suites, as crypto/tls has them, that a server's
// cipherSuites name, each once. It is empty, which stands for the default ones, where none
// of them can be used or "ALL" is among them. What is left out has a condition of [Object].
func CipherSuites(names []string) []uint16 {
	var suites []uint16
	seen := map[uint16]bool{}
	for _, name := range names {
		if name == "ALL" {
			return nil
		}
		if id, ok := allSuites[name]; ok && !seen[id] {
			seen[id] = true
			suites = append(suites, id)
		}
	}
	return suites
}

func (c *checker) cipherSuites(at *config.Path, names []string) {
	seen := map[uint16]bool{}
	for i, name := range names {
		id, known := allSuites[name]
		switch at := at.Index(i); {
		case name == "" || name == "ALL":
			// The default suites are all that are worth using.
		case !known && !isAlphanumeric(name[0]):
			c.warn(OutOfRange, at, "%q is an operator of OpenSSL's lists, which is not understood: it is ignored, name each suite to use", name)
		case !known && isTLS13(name):
			c.warn(NoEffect, at, "%q is of TLS 1.3, whose suites are always offered: remove it", name)
		case !known:
			c.warn(OutOfRange, at, "%q is not a cipher suite that can be used: it is ignored, remove it", name)
		case seen[id]:
			c.warn(Duplicate, at, "%q is here already: remove it", name)
		case insecureSuites[id]:
			c.warn(BadTLS, at, "%q is for old clients only, and weak: anyone who gets the key, or times the server, can read what is sent. Remove it unless you need it", name)
		}
		seen[id] = known || seen[id]
	}
}

func isTLS13(name string) bool {
	for _, s := range tls.CipherSuites() {
		if s.Name == name {
			return s.SupportedVersions[0] == tls.VersionTLS13
		}
	}
	return false
}
