package acme

import (
	"context"

	"golang.org/x/crypto/acme/autocert"
)

// cache is what autocert sees of the store: certificates that it puts there are handed out at
// once, and answers to challenges are put together.
type cache struct{ m *Manager }

func (c cache) Get(ctx context.Context, key string) ([]byte, error) {
	if isChallenge(key) {
		return nil, autocert.ErrCacheMiss
	}
	if o := c.m.orderOf(key); o != nil {
		if data := o.notSaved(); data != nil {
			return data, nil
		}
	}
	return c.m.options.Store.Get(ctx, key)
}

// Put keeps a certificate though the store cannot: the authority counts those that it
// issues. It is put there later.
func (c cache) Put(ctx context.Context, key string, data []byte) error {
	if isChallenge(key) {
		err := c.m.challenges.put(ctx, key, data)
		if err != nil {
			c.m.options.Logger.Warn("the answer to a challenge could not be stored; other replicas do not know it", "error", err.Error())
		}
		return err
	}
	o := c.m.orderOf(key)
	if o == nil {
		return c.m.options.Store.Put(ctx, key, data)
	}
	cert, err := parse(o.host, data)
	if err != nil {
		return err
	}
	o.hold(cert, data)
	o.save(ctx)
	return nil
}

func (c cache) Delete(ctx context.Context, key string) error {
	if isChallenge(key) {
		return c.m.challenges.put(ctx, key, nil)
	}
	return c.m.options.Store.Delete(ctx, key)
}
