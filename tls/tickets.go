package tls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	ctls "crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/router"
)

// Random keys are replaced each day and kept for a week, which is as long as crypto/tls takes
// a ticket.
const (
	ticketRotation = 24 * time.Hour
	ticketsKept    = 7
)

// Sizes of ticket keys in files, and how many there may be.
const (
	minTicketKey  = 32
	maxTicketKey  = 80
	maxTicketKeys = 64
)

// A ticket is the key's name, a salt, and the session sealed by AES-256-GCM under a key
// that is derived for this ticket alone: from the ticket key, the salt, what was asked of the
// client's certificate, and the server name. Under another name or another demand it cannot
// be opened, and the client goes through a whole handshake (CVE-2025-23419).
const (
	ticketName = 8
	ticketSalt = 24
)

// maxSession bounds the sessions that are sealed, in bytes, since a ticket has at most 64 KB. They
// hold all certificates that the client has shown.
const maxSession = 60 << 10

// ticketKey seals sessions.
type ticketKey struct {
	name    [ticketName]byte
	secret  []byte
	created time.Time
}

func (ticketKey) String() string   { return "[redacted]" }
func (ticketKey) GoString() string { return "[redacted]" }

func newTicketKey(secret []byte, created time.Time) (ticketKey, error) {
	k := ticketKey{created: created}
	var err error
	if k.secret, err = hkdf.Extract(sha256.New, secret, []byte("sluice session tickets")); err != nil {
		return k, err
	}
	name, err := hkdf.Expand(sha256.New, k.secret, "name", ticketName)
	copy(k.name[:], name)
	return k, err
}

// seal returns the AEAD of one ticket.
func (k *ticketKey) seal(salt, policy, serverName string) (cipher.AEAD, error) {
	// The salt's length is fixed and a policy has no NUL: no two triples spell the same.
	key, err := hkdf.Expand(sha256.New, k.secret, "ticket"+salt+policy+"\x00"+serverName, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// tickets seals and opens the session tickets of all servers.
type tickets struct {
	clock func() time.Time
	keys  atomic.Pointer[[]ticketKey]
	// shared: the keys come from a file, and are not replaced.
	shared atomic.Bool
	// mu is held to replace keys.
	mu sync.Mutex
}

func newTickets(clock func() time.Time) (*tickets, error) {
	t := &tickets{clock: clock}
	t.keys.Store(new([]ticketKey))
	if _, err := t.current(); err != nil {
		return nil, err
	}
	return t, nil
}

// share takes the keys of a file.
func (t *tickets) share(secrets []router.Sensitive) error {
	keys := make([]ticketKey, len(secrets))
	for i, secret := range secrets {
		var err error
		if keys[i], err = newTicketKey(secret, t.clock()); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys.Store(&keys)
	t.shared.Store(true)
	return nil
}

// current returns the keys, the one to seal with first.
func (t *tickets) current() ([]ticketKey, error) {
	shared, keys := t.shared.Load(), *t.keys.Load()
	now := t.clock()
	if shared || len(keys) > 0 && now.Sub(keys[0].created) < ticketRotation {
		return keys, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keys = *t.keys.Load()
	if t.shared.Load() || len(keys) > 0 && now.Sub(keys[0].created) < ticketRotation {
		return keys, nil
	}
	secret := make([]byte, minTicketKey)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	fresh, err := newTicketKey(secret, now)
	if err != nil {
		return nil, err
	}
	next := []ticketKey{fresh}
	for _, k := range keys {
		if len(next) < ticketsKept && now.Sub(k.created) < ticketsKept*ticketRotation {
			next = append(next, k)
		}
	}
	t.keys.Store(&next)
	return next, nil
}

// wrap seals a session for the policy.
func (t *tickets) wrap(policy string) func(ctls.ConnectionState, *ctls.SessionState) ([]byte, error) {
	return func(cs ctls.ConnectionState, session *ctls.SessionState) ([]byte, error) {
		keys, err := t.current()
		if err != nil {
			return nil, err
		}
		plain, err := session.Bytes()
		if err != nil {
			return nil, err
		}
		if len(plain) > maxSession {
			// No ticket at all would end the handshake; this one opens nothing.
			return make([]byte, ticketName), nil
		}
		ticket := make([]byte, ticketName+ticketSalt, ticketName+ticketSalt+len(plain)+16)
		copy(ticket, keys[0].name[:])
		salt := ticket[ticketName:]
		if _, err := rand.Read(salt); err != nil {
			return nil, err
		}
		aead, err := keys[0].seal(string(salt), policy, normalServerName(cs.ServerName))
		if err != nil {
			return nil, err
		}
		return aead.Seal(ticket, make([]byte, aead.NonceSize()), plain, nil), nil
	}
}

// unwrap opens a session of the policy. nil is a whole handshake.
func (t *tickets) unwrap(policy string) func([]byte, ctls.ConnectionState) (*ctls.SessionState, error) {
	return func(ticket []byte, cs ctls.ConnectionState) (*ctls.SessionState, error) {
		if len(ticket) < ticketName+ticketSalt {
			return nil, nil
		}
		name, salt, sealed := ticket[:ticketName], ticket[ticketName:ticketName+ticketSalt], ticket[ticketName+ticketSalt:]
		keys, err := t.current()
		if err != nil {
			return nil, nil
		}
		for i := range keys {
			if !bytes.Equal(keys[i].name[:], name) {
				continue
			}
			aead, err := keys[i].seal(string(salt), policy, normalServerName(cs.ServerName))
			if err != nil {
				return nil, nil
			}
			plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, nil)
			if err != nil {
				return nil, nil
			}
			session, err := ctls.ParseSessionState(plain)
			if err != nil {
				return nil, nil
			}
			return session, nil
		}
		return nil, nil
	}
}

// ParseTicketKeys reads a file of keys for session tickets: one a line, 32 to 80 random bytes
// each in base64, such as "openssl rand -base64 48" prints. Empty lines, and those that begin
// with "#", do not count. The first seals new tickets, all open them: to rotate, put a fresh
// key in the second place on all replicas, then in the first, and drop the last after a
// week. A file has at most 64 keys.
func ParseTicketKeys(text []byte) ([]router.Sensitive, error) {
	var keys []router.Sensitive
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		switch {
		case err != nil:
			// The decoder's own words tell of the text.
			return nil, fmt.Errorf("line %d is not base64", i+1)
		case len(key) < minTicketKey || len(key) > maxTicketKey:
			return nil, fmt.Errorf("line %d has %d bytes: a key has %d to %d", i+1, len(key), minTicketKey, maxTicketKey)
		case len(keys) == maxTicketKeys:
			return nil, fmt.Errorf("it has more than %d keys", maxTicketKeys)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key")
	}
	return keys, nil
}

// normalServerName spells a server name in one way: lower case, no trailing dot.
func normalServerName(name string) string {
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
