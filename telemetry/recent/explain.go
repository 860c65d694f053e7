package recent

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/router"
)

const (
	// maxEarlier bounds the rules that an explanation lists.
	maxEarlier = 20
	// restFactor is how much longer than the work on an explanation the rest after it is.
	restFactor = 20
	// sweep is how often routes without traffic are looked for.
	sweep = 5 * time.Minute
)

// run explains failures soon after they happened: while the table by which they were answered
// is at hand, and their cluster is in the state that it was in. After each it rests in
// proportion to what that took, which is long where a host has thousands of rules: a flood of
// failures must not cost a processor.
func (f *failures) run() {
	defer close(f.done)
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-ticker.C:
			f.recorder.routes.forget()
			continue
		case <-f.wake:
		}
		for began := time.Now(); f.explainNext(); began = time.Now() {
			rest.Reset(restFactor * time.Since(began))
			select {
			case <-rest.C:
			case <-f.stop:
				return
			}
			// Failures may come faster than they are explained, for as long as they like.
			select {
			case <-ticker.C:
				f.recorder.routes.forget()
			default:
			}
		}
	}
}

// explainNext explains one failure, and tells whether there was one to explain.
func (f *failures) explainNext() bool {
	f.working.Lock()
	defer f.working.Unlock()
	for i := range f.rings {
		if f.explain(&f.rings[i]) {
			return true
		}
	}
	return false
}

// explainAll explains what is not explained yet. When it returns, whatever was recorded before
// is.
func (f *failures) explainAll() {
	f.working.Lock()
	defer f.working.Unlock()
	for i := range f.rings {
		for f.explain(&f.rings[i]) {
		}
	}
}

// question is what is to be explained.
type question struct {
	slot     int
	sequence uint64
	table    *router.Table
	route    *router.CompiledRoute
	request  *router.Request
	cluster  string
}

// explain explains one of a ring's failures that is not explained yet, if there is one.
func (f *failures) explain(ring *ring) bool {
	q, ok := ring.question()
	if !ok {
		return false
	}
	var answer slot
	if q.request != nil && q.table != nil {
		answer.explanation = q.table.Explain(q.request)
		answer.outdated = outdated(q, answer.explanation)
		tidy(answer.explanation)
	}
	if q.cluster != "" && f.recorder.options.Upstream != nil {
		answer.upstream = f.recorder.options.Upstream(q.cluster)
	}
	ring.mu.Lock()
	if s := &ring.slots[q.slot]; s.sequence == q.sequence {
		s.explanation, s.outdated, s.upstream = answer.explanation, answer.outdated, answer.upstream
	}
	ring.mu.Unlock()
	return true
}

// question returns one that has no answer yet, and counts it as answered.
func (r *ring) question() (q question, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.slots[:min(r.next, len(r.slots))] {
		s := &r.slots[i]
		if s.explained {
			continue
		}
		q = question{slot: i, sequence: s.sequence, table: s.table, route: s.route, cluster: s.of(s.cluster)}
		if s.routed {
			q.request = s.request()
		}
		s.wipe()
		// The table is not kept longer than it is needed.
		s.explained, s.table, s.route = true, nil, nil
		return q, true
	}
	return q, false
}

// outdated tells whether a request was answered by another table than the one that explains it,
// and by another rule.
func outdated(q question, e *router.Explanation) bool {
	switch {
	case q.route == nil:
		return e.Route != nil
	case e.Route == nil:
		return true
	}
	return e.Route.Origin != q.route.Origin() || e.Route.Name != q.route.Name
}

// tidy leaves out all but the first rules that did not match, and what could let somebody in.
func tidy(e *router.Explanation) {
	e.Earlier = slices.Clone(e.Earlier[:min(len(e.Earlier), maxEarlier)])
	for i := range e.Earlier {
		tidyConditions(e.Earlier[i].Failed)
	}
	if e.Nearest != nil {
		tidyConditions(e.Nearest.Failed)
	}
	e.Location = withoutSecrets(e.Location)
	if e.Route != nil {
		e.Route.Path = withoutSecrets(e.Route.Path)
	}
}

func tidyConditions(list []router.FailedCondition) {
	for i := range list {
		c := &list[i]
		header, isHeader := strings.CutPrefix(c.Condition, "header ")
		parameter, isParameter := strings.CutPrefix(c.Condition, "query parameter ")
		if !c.Absent && (isHeader && secret(header) || isParameter && secretParameter(parameter)) {
			c.Got = redacted
		} else if isHeader || c.Condition == "path with query" {
			c.Got = withoutSecrets(c.Got)
		}
	}
}
