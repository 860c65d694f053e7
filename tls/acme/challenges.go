package acme

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

const (
	// challengesEntry is where the answers to all challenges are. It is one entry, so that a
	// replica can look for any answer by one read, whatever strangers ask for.
	challengesEntry = "acme_challenges"
	// challengesAge is for how long the answers that were read are not read again.
	challengesAge = 200 * time.Millisecond
	// storeTimeout bounds one use of the store.
	storeTimeout = 10 * time.Second
)

// challenges are the answers to the challenges of the orders that run, by the names that
// autocert gives them: TOKEN+http-01 and HOST+token.
type challenges struct {
	store Store
	// issues says whether this replica is the one that orders now. Another's answers are not to be
	// written over, and what is left of our own orders answers nothing.
	issues func() bool

	// writing has the entry written by one at a time.
	writing sync.Mutex
	mu      sync.Mutex
	// own are those of this replica's orders.
	own map[string][]byte
	// read are those that were in the store; reading is the read that was begun last, and
	// begun when that was.
	read    map[string][]byte
	reading chan struct{}
	begun   time.Time
}

// isChallenge tells the name of an answer from that of a certificate.
func isChallenge(key string) bool {
	return strings.HasSuffix(key, "+http-01") || strings.HasSuffix(key, "+token")
}

// put has every replica answer a challenge; nil data ends that. Where another replica orders by
// now, it writes nothing.
func (c *challenges) put(ctx context.Context, key string, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.own == nil {
		c.own = map[string][]byte{}
	}
	if data == nil {
		delete(c.own, key)
	} else {
		c.own[key] = data
	}
	text, err := json.Marshal(c.own)
	c.mu.Unlock()
	if err != nil || !c.issues() {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return c.store.Put(ctx, challengesEntry, text)
}

// get returns the answer to a challenge, nil where there is none. However many ask, the store
// is read a few times a second at most; and each who asks sees all that was there when
// it asked.
func (c *challenges) get(ctx context.Context, key string) []byte {
	asked := time.Now()
	for {
		c.mu.Lock()
		own, read := c.own[key], c.read[key]
		switch {
		case own != nil && c.issues():
			c.mu.Unlock()
			return own
		case c.reading == nil && c.begun.After(asked):
			c.mu.Unlock()
			return read
		}
		if c.reading == nil {
			c.reading = make(chan struct{})
			go c.load(max(0, time.Until(c.begun.Add(challengesAge))))
		}
		done := c.reading
		c.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return nil
		}
	}
}

// load reads the store after a pause.
func (c *challenges) load(pause time.Duration) {
	time.Sleep(pause)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	text, err := c.store.Get(ctx, challengesEntry)
	var read map[string][]byte
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || errors.Is(err, autocert.ErrCacheMiss) {
		c.read = read
	}
	c.begun = begun
	close(c.reading)
	c.reading = nil
}
