package istio

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

const (
	defaultAttempts = 2
	defaultBackoff  = 25 * time.Millisecond
	// maxBackoff is how many times the base a pause may be (Envoy's RetryBackOff).
	maxBackoff = 10
	// defaultRetryOn are Istio's conditions where a rule names none. Its list of status
	// codes is empty.
	defaultRetryOn = router.RetryConnectFailure | router.RetryRefusedStream | router.RetryUnavailable |
		router.RetryCancelled | router.RetryStatusCodes
)

// defaultRetry is the policy of routes whose rule has none (Istio's default), and
// hashedRetry where the destination is picked by a hash: the endpoint that the hash
// finds is the one to try again.
var (
	defaultRetry = &router.Retry{
		Attempts: defaultAttempts, On: defaultRetryOn,
		Backoff: defaultBackoff, MaxBackoff: maxBackoff * defaultBackoff, AvoidPrevious: true,
	}
	hashedRetry = &router.Retry{
		Attempts: defaultAttempts, On: defaultRetryOn,
		Backoff: defaultBackoff, MaxBackoff: maxBackoff * defaultBackoff,
	}
)

// retriedOnly is the policy of routes that no rule says anything of.
var retriedOnly = &router.RoutePolicy{Retry: defaultRetry}

// compileRetry returns a rule's retry policy, nil where it is turned off. hashed says
// whether the rule's destination is picked by a hash.
func compileRetry(in *networking.HTTPRetry, hashed bool) *router.Retry {
	base := defaultRetry
	if hashed {
		base = hashedRetry
	}
	switch {
	case in == nil:
		return base
	case in.Attempts <= 0:
		return nil
	}
	out := *base
	out.Attempts = int(in.Attempts)
	out.PerTry = in.PerTryTimeout.AsDuration()
	if in.RetryOn != "" {
		out.On, out.StatusCodes = parseRetryOn(in.RetryOn)
	}
	if in.Backoff != nil {
		out.Backoff = cmp.Or(in.Backoff.AsDuration(), defaultBackoff)
		out.MaxBackoff = maxBackoff * out.Backoff
	}
	if in.RetryIgnorePreviousHosts != nil {
		out.AvoidPrevious = in.RetryIgnorePreviousHosts.Value
	}
	out.RemoteLocalities = in.RetryRemoteLocalities.GetValue()
	return &out
}

// retryWords are the words of retryOn (Envoy's x-envoy-retry-on and
// x-envoy-retry-grpc-on).
var retryWords = map[string]router.RetryOn{
	"connect-failure":            router.RetryConnectFailure,
	"reset":                      router.RetryReset,
	"reset-before-request":       router.RetryResetBeforeRequest,
	"refused-stream":             router.RetryRefusedStream,
	"5xx":                        router.Retry5xx,
	"gateway-error":              router.RetryGatewayError,
	"retriable-4xx":              router.RetryRetriable4xx,
	"retriable-status-codes":     router.RetryStatusCodes,
	"retriable-headers":          router.RetryRetriableHeaders,
	"envoy-ratelimited":          router.RetryEnvoyRateLimited,
	"http3-post-connect-failure": router.RetryHTTP3PostConnectFailure,
	"cancelled":                  router.RetryCancelled,
	"deadline-exceeded":          router.RetryDeadlineExceeded,
	"internal":                   router.RetryInternal,
	"resource-exhausted":         router.RetryResourceExhausted,
	"unavailable":                router.RetryUnavailable,
}

// parseRetryOn reads a list of conditions. Numbers in it are status codes, which are
// then a condition too.
func parseRetryOn(list string) (router.RetryOn, []int) {
	var on router.RetryOn
	var codes []int
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if code, err := strconv.Atoi(word); err == nil && http.StatusText(code) != "" {
			on |= router.RetryStatusCodes
			codes = append(codes, code)
			continue
		}
		on |= retryWords[word]
	}
	slices.Sort(codes)
	return on, slices.Compact(codes)
}
