package acme

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// errNotIssuing is what becomes of an order of a replica that another has taken over from.
var errNotIssuing = errors.New("another replica issues certificates")

// gate lets nobody but the replica that issues talk to the authority, nor anybody order for hosts
// that the configuration does not name any more. autocert has no way to end an order, nor its
// timers of renewal: here they end.
type gate struct {
	m    *Manager
	base *http.Transport
}

func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.m.issues() {
		return nil, errNotIssuing
	}
	for _, host := range ordered(r) {
		if err := g.m.allowed(r.Context(), host); err != nil {
			return nil, err
		}
	}
	res, err := g.base.RoundTrip(r)
	if err != nil {
		g.m.said.Store(&said{time.Now(), err.Error()})
		return nil, err
	}
	g.m.heed(res)
	return res, nil
}

// ordered returns the hosts for which a request orders a certificate (RFC 8555 section 7.4), nil
// where it is none that does.
func ordered(r *http.Request) (hosts []string) {
	if r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	var signed struct{ Payload string }
	var order struct{ Identifiers []struct{ Value string } }
	if json.NewDecoder(body).Decode(&signed) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil || json.Unmarshal(payload, &order) != nil {
		return nil
	}
	for _, id := range order.Identifiers {
		hosts = append(hosts, id.Value)
	}
	return hosts
}
