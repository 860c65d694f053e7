package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/acme/autocert"
)

// accountEntry is where the account's key is: the name that autocert gives it.
const accountEntry = "acme_account+key"

// account returns the key of the account, which is made where there is none. All who begin
// at the same time get the same key: to the authority that is one account, however often
// it is registered (RFC 8555 section 7.3.1).
func account(ctx context.Context, s Store) (crypto.Signer, error) {
	data, err := s.Get(ctx, accountEntry)
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		// A file that a crash has left empty.
		if err = s.Delete(ctx, accountEntry); err == nil {
			err = autocert.ErrCacheMiss
		}
	}
	if errors.Is(err, autocert.ErrCacheMiss) {
		if data, err = newAccount(); err != nil {
			return nil, err
		}
		if err = s.Create(ctx, accountEntry, data); err == nil {
			data, err = s.Get(ctx, accountEntry)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the account's key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("the account's key is no PEM: remove it from the store, and another account is made")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if signer, ok := key.(crypto.Signer); ok && err == nil {
		return signer, nil
	}
	return nil, errors.New("the account's key is neither ECDSA nor RSA: remove it from the store, and another account is made")
}

// newAccount makes a key for an account, in PEM.
func newAccount() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
