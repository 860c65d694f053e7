package tls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"
)

// staple adds an OCSP response to the certificate, if it says that the certificate is good
// now (RFC 6960). Its signature is checked where the chain has the issuer.
func (c *certificate) staple(der []byte, now time.Time) error {
	var issuer *x509.Certificate
	if len(c.tls.Certificate) > 1 {
		var err error
		if issuer, err = x509.ParseCertificate(c.tls.Certificate[1]); err != nil {
			return err
		}
	}
	response, err := ocsp.ParseResponseForCert(der, c.leaf, issuer)
	if err != nil {
		return fmt.Errorf("it does not belong to the certificate: %w", err)
	}
	switch {
	case response.Status != ocsp.Good:
		return errors.New("it does not call the certificate good")
	case response.ThisUpdate.After(now):
		c.early = response.ThisUpdate
		return fmt.Errorf("it holds from %s only", response.ThisUpdate.UTC().Format(time.RFC3339))
	case response.NextUpdate.IsZero():
		return errors.New("it does not say until when it holds")
	case !now.Before(response.NextUpdate):
		return heldUntil(response.NextUpdate)
	}
	c.tls.OCSPStaple = der
	c.stapled = response.NextUpdate
	return nil
}

// bare returns the certificate without its staple.
func (c *certificate) bare() *certificate {
	other := *c
	other.tls.OCSPStaple, other.stapled = nil, time.Time{}
	return &other
}

func leftOut(why error) error { return fmt.Errorf("its OCSP staple is left out: %w", why) }

func heldUntil(end time.Time) error {
	return fmt.Errorf("it held until %s", end.UTC().Format(time.RFC3339))
}
