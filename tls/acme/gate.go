package acme

import (
	"errors"
	"net/http"
	"time"
)

// errNotIssuing is what becomes of an order of a replica that another has taken over from.
var errNotIssuing = errors.New("another replica issues certificates")

// gate lets nobody but the replica that issues talk to the authority. autocert has no way to
// end an order, nor its timers of renewal: here they end.
type gate struct {
	m    *Manager
	base *http.Transport
}

func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.m.issues() {
		return nil, errNotIssuing
	}
	res, err := g.base.RoundTrip(r)
	if err != nil {
		g.m.said.Store(&said{time.Now(), err.Error()})
		return nil, err
	}
	g.m.heed(res)
	return res, nil
}
