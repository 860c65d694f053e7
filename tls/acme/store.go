package acme

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/crypto/acme/autocert"
)

// Store keeps what several replicas have in common: the account's key, the certificates
// with their keys, and the answers to challenges. Get returns autocert.ErrCacheMiss where
// there is no such entry. All of it is secret. Its methods are called by many goroutines.
type Store interface {
	autocert.Cache
	// Create puts an entry where there is none yet. Of two that create the same at the same
	// time one succeeds; the other's entry is dropped, without an error.
	Create(ctx context.Context, key string, data []byte) error
}

// Dir is a Store in a folder, which is made where it is missing. Only its owner can read it.
type Dir string

// Get reads an entry.
func (d Dir) Get(ctx context.Context, key string) ([]byte, error) {
	return autocert.DirCache(d).Get(ctx, key)
}

// Put writes an entry, in one step.
func (d Dir) Put(ctx context.Context, key string, data []byte) error {
	return autocert.DirCache(d).Put(ctx, key, data)
}

// Delete removes an entry, if there is one.
func (d Dir) Delete(ctx context.Context, key string) error {
	return autocert.DirCache(d).Delete(ctx, key)
}

// Create writes an entry unless there is one.
func (d Dir) Create(_ context.Context, key string, data []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(string(d), "new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	// A link is made whole or not at all, and never over what is there.
	err = os.Link(file.Name(), filepath.Join(string(d), filepath.Clean("/"+key)))
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}
