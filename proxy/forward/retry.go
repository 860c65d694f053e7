package forward

import (
	"slices"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// conditionsOnReset are those that hold for a try which brought no response.
const conditionsOnReset = router.RetryReset | router.Retry5xx | router.RetryGatewayError

// retriesResponse tells whether a policy wants another try instead of this response.
func retriesResponse(p *router.Retry, r *proxy.Response) bool {
	on := p.On
	switch {
	case on&router.RetryStatusCodes != 0 && slices.Contains(p.StatusCodes, r.Status),
		on&router.Retry5xx != 0 && r.Status >= 500 && r.Status <= 599,
		on&router.RetryGatewayError != 0 && r.Status >= 502 && r.Status <= 504,
		on&router.RetryRetriable4xx != 0 && r.Status == 409:
		return true
	}
	if on&(router.RetryEnvoyRateLimited|conditionsGRPC) == 0 {
		return false
	}
	for i := range r.Headers {
		switch h := &r.Headers[i]; h.Name {
		case "x-envoy-ratelimited":
			if on&router.RetryEnvoyRateLimited != 0 {
				return true
			}
		case "grpc-status":
			if on&grpcCondition(h.Value) != 0 {
				return true
			}
		}
	}
	return false
}

const conditionsGRPC = router.RetryCancelled | router.RetryDeadlineExceeded | router.RetryInternal |
	router.RetryResourceExhausted | router.RetryUnavailable

// grpcCondition returns the condition that a grpc-status meets, or 0.
func grpcCondition(status string) router.RetryOn {
	code, err := strconv.Atoi(status)
	if err != nil {
		return 0
	}
	switch code {
	case 1:
		return router.RetryCancelled
	case 4:
		return router.RetryDeadlineExceeded
	case 8:
		return router.RetryResourceExhausted
	case 13:
		return router.RetryInternal
	case 14:
		return router.RetryUnavailable
	}
	return 0
}

// retriesFailure tells whether a policy wants another try after one that brought no
// response.
func retriesFailure(p *router.Retry, res *proxy.Result) bool {
	if res.Responded || res.BodyError != nil {
		return false
	}
	switch res.Failure {
	case proxy.FailConnect:
		return p.On&(conditionsOnReset|router.RetryConnectFailure|router.RetryResetBeforeRequest) != 0
	case proxy.FailSend:
		return p.On&(conditionsOnReset|router.RetryResetBeforeRequest) != 0
	case proxy.FailClosed, proxy.FailReset, proxy.FailStreamReset, proxy.FailTimeout:
		return p.On&conditionsOnReset != 0
	case proxy.FailRefusedStream:
		return p.On&(conditionsOnReset|router.RetryRefusedStream|router.RetryResetBeforeRequest) != 0
	case proxy.FailProtocol:
		return p.On&(router.Retry5xx|router.RetryGatewayError|router.RetryReset) != 0
	}
	return false
}

// needsBody tells whether a policy may want another try after the upstream has got some of
// the request's body, so that the body is worth keeping. http2 tells that it may speak
// HTTP/2: only then may it refuse a stream, or answer in gRPC.
func needsBody(p *router.Retry, http2 bool) bool {
	if p == nil || p.Attempts == 0 {
		return false
	}
	never := router.RetryConnectFailure | router.RetryHTTP3PostConnectFailure | router.RetryStatusCodes
	if !http2 {
		never |= router.RetryRefusedStream | conditionsGRPC
	}
	return p.On&^never != 0 || p.On&router.RetryStatusCodes != 0 && len(p.StatusCodes) > 0
}

// backoff returns the pause before the nth retry, from 1: a random part of an interval that
// doubles, as Envoy's fully jittered exponential back-off.
func backoff(p *router.Retry, n int, random uint64) time.Duration {
	base, limit := p.Backoff, p.MaxBackoff
	if base <= 0 {
		base = 25 * time.Millisecond
	}
	if limit <= 0 {
		limit = 10 * base
	}
	window := limit
	if n < 32 && base<<n-base < limit && base<<n > 0 {
		window = base<<n - base
	}
	return time.Duration(random % uint64(max(window, 1)))
}

// begin begins a retry, where policy, the cluster and the request's body let it. It notes
// why not where one was due.
func (d *delivery) begin() bool {
	if d.retries >= d.retry.Attempts {
		if d.retry.Attempts > 0 {
			d.cluster.Count(upstream.RqRetryLimitExceeded)
			d.ex.Flags |= proxy.FlagRetryExceeded
		}
		return false
	}
	if d.overdue() || !d.down.Rewindable() {
		return false
	}
	if !d.retrying && !d.cluster.BeginRetry() {
		d.ex.Flags |= proxy.FlagUpstreamOverflow
		return false
	}
	d.cluster.Count(upstream.RqRetry)
	d.retrying, d.due = true, true
	return true
}

// again tells whether to make another try after one that came to res, for which it then
// has paused.
func (d *delivery) again(endpoint *upstream.Endpoint, res *proxy.Result) bool {
	if d.retry == nil || res.Err == errLoop {
		return false
	}
	if res.Failure == proxy.FailTimeout && !d.overdue() {
		d.cluster.Count(upstream.RqPerTryTimeout)
	}
	switch {
	case d.due:
		// FilterResponse has begun the retry.
	case !retriesFailure(d.retry, res) || d.overdue() || !d.begin():
		return false
	}
	d.due = false
	d.retries++
	if d.retry.AvoidPrevious && len(d.choice.Tried) < maxTried {
		d.tried[len(d.choice.Tried)] = endpoint
		d.choice.Tried = d.tried[:len(d.choice.Tried)+1]
	}
	pause := backoff(d.retry, d.retries, d.engine.options.Random())
	if d.timeout > 0 {
		pause = min(pause, d.left())
	}
	switch {
	case !proxy.Wait(d.down, pause):
		*res = proxy.Result{Failure: proxy.FailDownstream}
		return false
	case d.overdue():
		// The upstream is spared a try whose answer nobody waits for any more.
		*res = proxy.Result{Failure: proxy.FailTimeout}
		return false
	}
	return d.down.Rewind()
}

// endRetry ends the retry in progress, if there is one.
func (d *delivery) endRetry(succeeded bool) {
	if !d.retrying {
		return
	}
	d.retrying = false
	d.cluster.EndRetry()
	if succeeded {
		d.cluster.Count(upstream.RqRetrySuccess)
	}
}
