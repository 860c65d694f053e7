package tls

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"
)

// revocations are the certificate revocation lists of one source. As with Envoy every
// certificate of a peer's chain but the root needs a list of its issuer, one that is in
// force: without, the peer is refused.
type revocations []*revocationList

// revocationList is one issuer's list (RFC 5280, section 5).
type revocationList struct {
	list   *x509.RevocationList
	serial map[string]struct{}

	mu sync.Mutex
	// signers are the authorities whose signature was checked, by their DER, with the
	// outcome.
	signers map[string]bool
}

// maxSigners bounds the authorities that a list remembers.
const maxSigners = 256

// parseRevocations reads one or more lists, in PEM or as one DER.
func parseRevocations(text []byte) (revocations, error) {
	var lists revocations
	rest := text
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := parseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("number %d: %w", len(lists)+1, err)
		}
		lists = append(lists, list)
	}
	switch {
	case brokenBlock(text, rest, "X509 CRL", len(lists)):
		return nil, errBrokenBlock
	case len(lists) > 0:
		return lists, nil
	case len(bytes.TrimSpace(text)) == 0:
		return nil, errors.New("it is empty")
	}
	list, err := parseRevocationList(text)
	if err != nil {
		return nil, errors.New("it has no PEM block X509 CRL, and is no DER")
	}
	return revocations{list}, nil
}

func parseRevocationList(der []byte) (*revocationList, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("it cannot be parsed: %w", err)
	}
	// Partial lists, deltas and indirect ones say so critically.
	for _, e := range list.Extensions {
		if e.Critical {
			return nil, fmt.Errorf("its critical extension %s is not understood: only complete lists of their own issuer are", e.Id)
		}
	}
	r := &revocationList{list: list, serial: make(map[string]struct{}, len(list.RevokedCertificateEntries)), signers: map[string]bool{}}
	for _, e := range list.RevokedCertificateEntries {
		r.serial[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	return r, nil
}

// check returns why a verified chain, leaf first, is not to be trusted.
func (r revocations) check(chain []*x509.Certificate, now time.Time) error {
	for i := 0; i+1 < len(chain); i++ {
		if err := r.checkOne(chain[i], chain[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

func (r revocations) checkOne(cert, issuer *x509.Certificate, now time.Time) error {
	var stale, found bool
	for _, l := range r {
		if !bytes.Equal(l.list.RawIssuer, cert.RawIssuer) || !l.signedBy(issuer) {
			continue
		}
		// A list that has run out still says what was revoked.
		if _, revoked := l.serial[string(cert.SerialNumber.Bytes())]; revoked {
			return fmt.Errorf("certificate %x of %s is revoked", cert.SerialNumber, distinguishedName(cert.RawSubject))
		}
		if l.inForce(now) {
			found = true
		} else {
			stale = true
		}
	}
	switch {
	case found:
		return nil
	case stale:
		return fmt.Errorf("the revocation list of %s is not in force any more, or not yet", distinguishedName(cert.RawIssuer))
	}
	return fmt.Errorf("there is no revocation list of %s", distinguishedName(cert.RawIssuer))
}

func (l *revocationList) inForce(now time.Time) bool {
	return !now.Before(l.list.ThisUpdate) && (l.list.NextUpdate.IsZero() || !now.After(l.list.NextUpdate))
}

// signedBy tells whether an authority has signed the list.
func (l *revocationList) signedBy(issuer *x509.Certificate) bool {
	l.mu.Lock()
	ok, known := l.signers[string(issuer.Raw)]
	l.mu.Unlock()
	if known {
		return ok
	}
	ok = l.list.CheckSignatureFrom(issuer) == nil
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.signers) < maxSigners {
		l.signers[string(issuer.Raw)] = ok
	}
	return ok
}

// expired returns a list that is not in force, nor another of its issuer; nil if there is none.
func (r revocations) expired(now time.Time) *revocationList {
	inForce := make(map[string]bool, len(r))
	for _, l := range r {
		if l.inForce(now) {
			inForce[string(l.list.RawIssuer)] = true
		}
	}
	for _, l := range r {
		if !inForce[string(l.list.RawIssuer)] {
			return l
		}
	}
	return nil
}
