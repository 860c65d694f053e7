package forward

import (
	"strings"

	"github.com/sluicegate/sluice/proxy"
)

// challengePrefix begins the paths at which a certificate authority looks for proof that a
// host is served here (RFC 8555 section 8.3).
const challengePrefix = "/.well-known/acme-challenge/"

// answerChallenge answers a certificate authority, and tells false for any other request.
func (e *Engine) answerChallenge(ex *proxy.Exchange, down proxy.Downstream) bool {
	r := &ex.Request
	if r.Scheme != "http" || r.Method != "GET" || !strings.HasPrefix(r.Path, challengePrefix) {
		return false
	}
	answer, ok := e.options.Challenge(strings.ToLower(hostOf(r.Authority)), r.Path)
	if !ok {
		return false
	}
	e.reply(ex, down, reply{status: 200, details: "acme_challenge", body: string(answer)})
	return true
}
