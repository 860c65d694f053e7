package ingress

import (
	"math"
	"net/netip"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/kube"
)

const (
	// burstMultiplier is that of ingress-nginx where limit-burst-multiplier says nothing.
	burstMultiplier = 5
	maxLimit        = math.MaxInt32
)

// limits reads what each client may ask of an Ingress; all its paths and hosts count together.
func (a *annotations) limits(ingress string) []istio.RouteLimit {
	perSecond, perMinute := a.number("limit-rps", 0, 0, maxLimit), a.number("limit-rpm", 0, 0, maxLimit)
	concurrent := a.number("limit-connections", 0, 0, maxLimit)
	times := a.number("limit-burst-multiplier", burstMultiplier, 0, maxLimit)
	exempt := a.exempt()
	var list []istio.RouteLimit
	if perSecond > 0 {
		list = append(list, istio.RouteLimit{Name: ingress + "/rps", Requests: perSecond, Burst: perSecond * times, Exempt: exempt})
	}
	if perMinute > 0 {
		list = append(list, istio.RouteLimit{Name: ingress + "/rpm", Requests: perMinute, Per: kube.Duration{Duration: time.Minute}, Burst: perMinute * times, Exempt: exempt})
	}
	if a.text("limit-burst-multiplier") != "" && len(list) == 0 {
		a.add(config.Info, AnnotationNotServed, "limit-burst-multiplier", "it has no effect without limit-rps or limit-rpm")
	}
	if concurrent > 0 {
		list = append(list, istio.RouteLimit{Name: ingress + "/connections", Concurrent: concurrent, Exempt: exempt})
	}
	if len(exempt) > 0 && len(list) == 0 {
		name, _ := a.first("limit-whitelist", "limit-allowlist")
		a.add(config.Info, AnnotationNotServed, name, "it has no effect without a limit")
	}
	return list
}

// exempt reads which clients are not limited.
func (a *annotations) exempt() []netip.Prefix {
	name, _ := a.first("limit-whitelist", "limit-allowlist")
	out, problem := parseRanges(a.list(name))
	if problem != "" {
		a.add(config.Warning, BadAnnotation, name, "%s; no client is exempt", problem)
	}
	return out
}

// idleTimeout reads how long nothing may move in an exchange; 0 leaves that to the gateway.
func (a *annotations) idleTimeout() time.Duration {
	read, ok := a.seconds("proxy-read-timeout")
	if ok && read < time.Second {
		a.bad("proxy-read-timeout", "must be a second at least; it has no effect")
		read = 0
	}
	if send, ok := a.seconds("proxy-send-timeout"); ok && send != read {
		a.add(config.Info, AnnotationNotServed, "proxy-send-timeout",
			"it has no effect of its own: in both directions nothing may move for as long as proxy-read-timeout says, or the gateway's --stream-idle-timeout")
	}
	return read
}
