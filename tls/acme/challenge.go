package acme

import (
	"context"
	"strings"
	"time"
)

const (
	// ChallengePrefix begins the paths at which an authority looks for answers to HTTP-01
	// challenges (RFC 8555 section 8.3).
	ChallengePrefix = "/.well-known/acme-challenge/"
	// challengePatience is how long an authority waits for an answer of which it is not
	// known whether another replica has it.
	challengePatience = 5 * time.Second
)

// Challenge returns the answer to an HTTP-01 challenge, whichever replica's order it is for. ok is
// false where there is no such challenge of ours: it may be somebody else's, behind a route.
func (m *Manager) Challenge(host, path string) (answer []byte, ok bool) {
	token, ok := strings.CutPrefix(path, ChallengePrefix)
	if !ok || !isToken(token) || m.orderOf(host) == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(m.ctx, challengePatience)
	defer cancel()
	answer = m.challenges.get(ctx, token+"+http-01")
	return answer, answer != nil
}

// isToken says whether an authority can have given a token: base64 for URLs, without padding.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 256
}
