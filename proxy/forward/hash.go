package forward

import (
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// setHash settles by what hash the balancer chooses. A request without the cookie that the
// policy hashes by gets one, where the policy says so.
func (d *delivery) setHash(p *router.HashPolicy) {
	ex := d.ex
	d.choice.Hash, d.choice.Hashed = upstream.RequestHash(p, &ex.Request, ex.Client)
	if d.choice.Hashed || p.Kind != router.HashCookie || !p.IssueCookie {
		return
	}
	at := len(ex.Scratch)
	ex.Scratch, d.choice.Hash = upstream.AppendHashCookie(ex.Scratch, p, d.engine.options.Random())
	d.cookie, d.choice.Hashed = ex.KeptFrom(at), true
}
