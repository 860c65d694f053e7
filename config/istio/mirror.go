package istio

import (
	"fmt"
	"iter"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// addMirrors sets who gets copies of a rule's requests. One whose share is 0 is none.
func (c *Compiler) addMirrors(u *compilation, r rule, a *action) {
	add := func(d *networking.Destination, share router.Fraction, at source) {
		if d == nil || share == 0 {
			return
		}
		use, _ := c.destination(u, at, d)
		use.mirror = true
		u.uses = append(u.uses, use)
		a.mirrors = append(a.mirrors, router.Mirror{Cluster: c.strings.one(use.key.String()), Fraction: share})
	}
	add(r.http.Mirror, mirrorFraction(r.http), source{r.mirror.object, r.mirror.field + ".mirror"})
	for i, m := range r.http.Mirrors {
		share := router.AllTraffic
		if m.Percentage != nil {
			share = fraction(m.Percentage)
		}
		add(m.Destination, share, source{r.mirrors.object, fmt.Sprintf("%s.mirrors[%d].destination", r.mirrors.field, i)})
	}
}

// mirrorFraction is the share of a rule's requests that its mirror gets: all of them
// where it does not say.
func mirrorFraction(http *networking.HTTPRoute) router.Fraction {
	switch {
	case http.MirrorPercentage != nil:
		return fraction(http.MirrorPercentage)
	case http.MirrorPercent != nil:
		return percentOf(float64(http.MirrorPercent.Value))
	}
	return router.AllTraffic
}

// destinationsIn yields the destinations that a rule names, those of copies included,
// with the namespace in which each is written.
func (r rule) destinationsIn() iter.Seq2[*networking.Destination, string] {
	return func(yield func(*networking.Destination, string) bool) {
		for _, d := range r.http.Route {
			if !yield(d.GetDestination(), r.object.Namespace) {
				return
			}
		}
		if r.http.Mirror != nil && !yield(r.http.Mirror, r.mirror.object.Namespace) {
			return
		}
		for _, m := range r.http.Mirrors {
			if m.Destination != nil && !yield(m.Destination, r.mirrors.object.Namespace) {
				return
			}
		}
	}
}
