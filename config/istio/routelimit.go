package istio

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/router"
)

// RouteLimit bounds what each client may ask of a rule: see [router.LocalLimit]. It has
// Requests, Concurrent, or both.
type RouteLimit struct {
	// Name joins the rules of a namespace whose limits have the same: they count together.
	// Without one, a rule's limit counts by itself.
	Name string `json:"name,omitempty"`
	// Requests is how many there may be in each Per, a second by default, and Burst how many
	// more at once.
	Requests int           `json:"requests,omitempty"`
	Per      kube.Duration `json:"per,omitzero"`
	Burst    int           `json:"burst,omitempty"`
	// Concurrent is how many may be in progress.
	Concurrent int `json:"concurrent,omitempty"`
	// Exempt are networks of clients that are not limited.
	Exempt []netip.Prefix `json:"exempt,omitempty"`
}

// problem says what makes no sense; empty where nothing does.
func (l RouteLimit) problem() string {
	switch {
	case l.Requests < 0 || l.Burst < 0 || l.Concurrent < 0 || l.Per.Duration < 0:
		return "numbers must not be negative"
	case l.Requests == 0 && l.Concurrent == 0:
		return "needs requests or concurrent"
	case l.Requests == 0 && (l.Burst > 0 || l.Per.Duration > 0):
		return "per and burst belong to requests"
	}
	return ""
}

// limits are the policy's for the routes of a rule.
func (p RoutePolicy) limits(r rule) []router.LocalLimit {
	var list []router.LocalLimit
	for i, l := range p.Limits {
		name := l.Name
		switch own := r.object.Namespace + "/"; {
		case name == "":
			name = fmt.Sprintf("%s%s/%s/%d", own, r.object.Name, cmp.Or(r.http.Name, r.field), i)
		case !strings.HasPrefix(name, own):
			// Nobody counts among those of another namespace.
			name = own + name
		}
		limit := router.LocalLimit{Name: name, Concurrent: l.Concurrent, Exempt: l.Exempt}
		if l.Requests > 0 {
			limit.Requests, limit.Period, limit.Burst = l.Requests, cmp.Or(l.Per.Duration, time.Second), l.Burst
		}
		list = append(list, limit)
	}
	return list
}
