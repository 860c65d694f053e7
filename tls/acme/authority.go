package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

const (
	// maxTries bounds how often a request that failed is made again, which takes half a minute.
	maxTries = 5
	// longestWait bounds what an authority that limits its orders may ask for.
	longestWait = 24 * time.Hour
	// maxRefusal bounds what is read of a refusal.
	maxRefusal = 64 << 10
	// accountPause is how long one that may have been lost is not registered again.
	accountPause = time.Minute
)

// said is what went wrong last between us and the authority.
type said struct {
	at   time.Time
	text string
}

// retryPause returns when a request that failed is made again, 0 for not: an authority that has
// enough, or says for how long it is away, is left alone until the order is tried again.
func retryPause(n int, _ *http.Request, res *http.Response) time.Duration {
	pause := time.Second << (min(max(n, 1), maxTries) - 1)
	after := res.Header.Get("Retry-After")
	switch {
	case res.StatusCode < http.StatusBadRequest: // It is being worked on.
		if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
			pause = min(time.Duration(seconds)*time.Second, time.Minute)
		}
		return pause
	case n > maxTries || after != "" || res.StatusCode == http.StatusTooManyRequests:
		return 0
	}
	return pause
}

// nextTry returns how long an order that has failed waits, given how long it would.
func nextTry(pause time.Duration, err error) time.Duration {
	if refusal, ok := errors.AsType[*acme.Error](err); ok {
		if after, limited := acme.RateLimit(refusal); limited {
			return max(pause, min(after, longestWait))
		}
	}
	return pause
}

// heed looks at a response: autocert keeps to itself why a renewal failed, and does not get over
// the loss of an account.
func (m *Manager) heed(res *http.Response) {
	if res.StatusCode < http.StatusBadRequest {
		return
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), res.Body), res.Body}
	var problem struct{ Type, Detail string }
	_ = json.Unmarshal(text, &problem)
	_, kind, _ := strings.Cut(problem.Type, ":error:")
	switch kind {
	case "badNonce": // It is asked again.
		return
	case "accountDoesNotExist":
		m.registerAgain()
	}
	if problem.Detail == "" {
		problem.Detail = res.Status
	}
	m.said.Store(&said{time.Now(), problem.Detail})
}

// registerAgain has the account made anew, with the key that there is: the authority does not
// know it any more.
func (m *Manager) registerAgain() {
	now, before := time.Now().UnixNano(), m.registered.Load()
	if before != 0 && now-before < int64(accountPause) || !m.registered.CompareAndSwap(before, now) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(m.ctx, accountPause)
		defer cancel()
		var of acme.Account
		if m.options.Email != "" {
			of.Contact = []string{"mailto:" + m.options.Email}
		}
		_, err := m.client.Register(ctx, &of, acme.AcceptTOS)
		if err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
			m.options.Logger.Warn("the certificate authority does not know our account any more, and makes no other", "error", err.Error())
			return
		}
		m.options.Logger.Warn("the certificate authority did not know our account any more; there is another")
	}()
}
