package ingress

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// retries are when a request is sent again.
type retries struct {
	// idempotent is for requests that may be sent twice, other for the rest; the same
	// where all may.
	idempotent, other *networking.HTTPRetry
}

// idempotentMethods may be sent again after the service may have seen them (RFC 9110 section
// 9.2.2).
const idempotentMethods = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"

// defaultTries is how often ingress-nginx tries.
const defaultTries = 3

// retries reads the group of proxy-next-upstream; nil where there is none, and Istio's default
// holds.
func (a *annotations) retries() *retries {
	when, tries := strings.Fields(a.text("proxy-next-upstream")), a.number("proxy-next-upstream-tries", defaultTries, 0, 100)
	if len(when) == 0 && a.text("proxy-next-upstream-tries") == "" && a.text("proxy-next-upstream-timeout") == "" {
		return nil
	}
	if len(when) == 0 {
		when = []string{"error", "timeout"}
	}
	if tries == 0 {
		a.add(config.Warning, AnnotationNotServed, "proxy-next-upstream-tries", "\"0\": there is no trying without an end: it counts as %d", defaultTries)
		tries = defaultTries
	}
	if slices.Contains(when, "off") || tries == 1 {
		off := &networking.HTTPRetry{}
		return &retries{off, off}
	}
	safe, more, all := a.occasions(when)
	r := &retries{
		idempotent: &networking.HTTPRetry{Attempts: int32(tries - 1), RetryOn: strings.Join(slices.Concat(safe, more), ",")},
		other:      &networking.HTTPRetry{Attempts: int32(tries - 1), RetryOn: strings.Join(safe, ",")},
	}
	if d, ok := a.seconds("proxy-next-upstream-timeout"); ok && d > 0 {
		a.add(config.Info, AnnotationNotServed, "proxy-next-upstream-timeout", "it bounds each try here, and not all of them together")
		r.idempotent.PerTryTimeout, r.other.PerTryTimeout = durationpb.New(d), durationpb.New(d)
	}
	if all || len(more) == 0 {
		r.other = r.idempotent
	}
	return r
}

// occasions translates nginx's words for when to try again: those under which the service
// has not seen the request, the others, and whether those hold for any method.
func (a *annotations) occasions(when []string) (safe, more []string, all bool) {
	for _, word := range when {
		code, isCode := strings.CutPrefix(word, "http_")
		switch {
		case word == "error":
			safe, more = append(safe, "connect-failure", "refused-stream"), append(more, "reset")
		case word == "timeout", word == "invalid_header":
			if !slices.Contains(more, "reset") {
				more = append(more, "reset")
			}
		case word == "non_idempotent":
			all = true
		case isCode && slices.Contains([]string{"500", "502", "503", "504", "403", "404", "429"}, code):
			more = append(more, code)
		default:
			a.bad("proxy-next-upstream", "has the word %q, which means nothing; it is left out", word)
		}
	}
	if len(safe) == 0 {
		safe = []string{"connect-failure"}
	}
	return safe, more, all
}
