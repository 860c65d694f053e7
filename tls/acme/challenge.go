package acme

import (
	"bytes"
	"net/http"
	"strings"
)

// ChallengePrefix begins the paths at which an authority looks for answers to HTTP-01
// challenges (RFC 8555 section 8.3).
const ChallengePrefix = "/.well-known/acme-challenge/"

// Challenge returns the answer to an HTTP-01 challenge. ok is false where there is no such
// challenge of ours: it may be somebody else's, behind a route.
func (m *Manager) Challenge(host, path string) (answer []byte, ok bool) {
	if !strings.HasPrefix(path, ChallengePrefix) {
		return nil, false
	}
	r, err := http.NewRequestWithContext(m.ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, false
	}
	r.Host = host
	w := &answerWriter{status: http.StatusOK}
	m.challenge.ServeHTTP(w, r)
	return w.body.Bytes(), w.status == http.StatusOK
}

// answerWriter keeps what a handler answers.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

func (w *answerWriter) WriteHeader(status int) { w.status = status }

func (w *answerWriter) Write(p []byte) (int, error) { return w.body.Write(p) }
