package why

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/recent"
)

// noCluster: the destination that was picked does not exist. What is wrong is a condition of
// the object that names it.
func (c *inquiry) noCluster() {
	_, port, subset, host := parts(c.Cluster)
	c.because("the route's destination %s does not exist", c.Cluster)
	if c.cluster() != nil {
		c.fix(router.Origin{}, "nothing, any more: it exists by now (the request met generation %d of the configuration)", c.Generation)
		return
	}
	place := c.at("route")
	var at Fix
	for _, condition := range c.evidence.Conditions {
		if about(condition, c.Rule) && strings.HasPrefix(condition.Field, c.ruleField()+".route") && c.saysOf(condition) {
			c.because("the route's destination %s does not exist: %s", c.Cluster, condition.Message)
			place.Field = condition.Field
			at = Fix{File: condition.File, Line: condition.Line}
			break
		}
	}
	if subset != "" {
		c.fix(place, "name a subset that there is, or define %q in a DestinationRule for %s", subset, host)
	} else {
		c.fix(place, "correct the destination, or add a Service or ServiceEntry for %s with port %s", host, port)
	}
	c.Fix.File, c.Fix.Line = at.File, at.Line
}

// saysOf tells whether what is wrong with a destination is said of the one that was picked: a rule
// may have several bad ones. The message begins with what its author wrote.
func (c *inquiry) saysOf(condition config.Condition) bool {
	_, port, subset, host := parts(c.Cluster)
	said, _, _ := strings.Cut(condition.Message, ": ")
	switch {
	case strings.HasSuffix(condition.Field, "destination.subset"):
		return said == strconv.Quote(subset)
	case strings.HasSuffix(condition.Field, "destination.host"):
		name, err := strconv.Unquote(said)
		return err == nil && (strings.EqualFold(host, name) || strings.HasPrefix(host, strings.ToLower(name)+"."))
	}
	return strings.Contains(condition.Field, "destination.port") && said == port
}

// ruleField is what the fields of the request's rule begin with: "http[0]".
func (c *inquiry) ruleField() string {
	field, _, _ := strings.Cut(c.Rule.Field, ".match")
	return field
}

// parts are what a cluster's name is made of: outbound|80|v1|reviews.default.svc.cluster.local.
func parts(cluster string) (direction, port, subset, host string) {
	p := append(strings.SplitN(cluster, "|", 4), "", "", "", "")
	return p[0], p[1], p[2], p[3]
}

// noHealthyUpstream: there is no endpoint to use.
func (c *inquiry) noHealthyUpstream() {
	cluster := c.cluster()
	switch u := c.failure.Upstream; {
	case c.UpstreamFailure != "":
		c.because("the names of the endpoints of %s stand for no address: %s", c.Cluster, c.UpstreamFailure)
		c.fix(origin(cluster), "correct the name, or the server of DNS that is asked (--resolv-conf)")
	case u == nil || len(u.Endpoints) == 0:
		c.because("%s has no endpoints", c.Cluster)
		c.noEndpoints(cluster)
	default:
		c.because("all %s of %s are out of use", counted(len(u.Endpoints), "endpoint"), c.Cluster)
		c.endpointFacts(u)
		rule := c.policy("trafficPolicy.outlierDetection")
		c.fix(rule, "mend what answers with errors there: outlier detection took the endpoints out for it. maxEjectionPercent says how many may be out at a time, baseEjectionTime for how long")
	}
}

func (c *inquiry) noEndpoints(cluster *router.Cluster) {
	_, _, subset, host := parts(c.Cluster)
	switch {
	case subset != "" && cluster != nil && cluster.Origin.Kind == "DestinationRule":
		rule := cluster.Origin
		c.fix(rule, "no endpoint of %s has the labels of subset %q: correct its labels, or start a workload that has them", host, subset)
	default:
		c.fix(origin(cluster), "start a workload for %s, or correct the selector of its Service or the endpoints of its ServiceEntry", host)
	}
}

// endpointFacts list the endpoints and since when they are out of use.
func (c *inquiry) endpointFacts(u *recent.Upstream) {
	const shown = 8
	for i, e := range u.Endpoints {
		if i == shown {
			c.fact("and %d more", len(u.Endpoints)-shown)
			return
		}
		state := "in use"
		if !e.Healthy {
			state = "out of use"
		}
		if !e.EjectedAt.IsZero() {
			state += " since " + e.EjectedAt.UTC().Format(time.TimeOnly)
		}
		if e.Ejection != "" {
			state += ": " + e.Ejection
		}
		c.fact("%s %s", e.Address, state)
	}
}

// connectFailure: there was no connection.
func (c *inquiry) connectFailure() {
	c.because("no connection to %s of %s: %s", orUnknown(c.UpstreamHost), c.Cluster, orUnknown(c.UpstreamFailure))
	c.tries()
	cluster := c.cluster()
	switch text := c.UpstreamFailure; {
	case strings.Contains(text, "the listener that the request came in by"):
		c.fix(origin(cluster), "the destination leads back to this proxy: give it the address of the workload")
	case strings.Contains(text, "TLS"):
		c.fix(orElse(c.policy("trafficPolicy.tls"), origin(cluster)), "make trafficPolicy.tls of a DestinationRule for the host say what the endpoint speaks and presents: mode, sni, caCertificates, subjectAltNames")
	case strings.Contains(text, "refused"):
		c.fix(origin(cluster), "nothing listens at %s: start the workload, or correct the port (targetPort of a Service, ports of a ServiceEntry)", orUnknown(c.UpstreamHost))
	case strings.Contains(text, "timeout") || strings.Contains(text, "deadline"):
		c.fix(orElse(c.policy("trafficPolicy.connectionPool.tcp.connectTimeout"), origin(cluster)), "%s does not answer: a firewall or a wrong address; connectTimeout says how long is waited", orUnknown(c.UpstreamHost))
	default:
		c.fix(origin(cluster), "make %s reachable from here, or correct the address", orUnknown(c.UpstreamHost))
	}
}

// termination: the endpoint closed the connection.
func (c *inquiry) termination() {
	c.because("%s of %s closed the connection %s", orUnknown(c.UpstreamHost), c.Cluster, c.how())
	c.tries()
	c.fix(c.at("retries"), "see what %s does at that time: it crashed, or gave up. Where requests may be repeated, retries with retryOn: reset hide it", orUnknown(c.UpstreamHost))
}

// reset: the endpoint reset the stream.
func (c *inquiry) reset() {
	c.because("%s of %s reset the stream %s", orUnknown(c.UpstreamHost), c.Cluster, c.how())
	c.tries()
	if strings.Contains(c.Details, "refused") {
		c.fix(c.at("retries"), "it refuses more streams: let it take more, or retry with retryOn: refused-stream")
		return
	}
	c.fix(c.at("retries"), "see what %s does with such a request; where it may be repeated, retries with retryOn: reset hide it", orUnknown(c.UpstreamHost))
}

// how says how far the response had got.
func (c *inquiry) how() string {
	text := "before its response"
	if c.BytesSent > 0 || strings.Contains(c.Details, "after_response_started") {
		text = fmt.Sprintf("in the middle of its response, after %d bytes", c.BytesSent)
	}
	if c.UpstreamFailure != "" {
		text += " (" + c.UpstreamFailure + ")"
	}
	return text
}

// protocolError: the endpoint's message is not valid.
func (c *inquiry) protocolError() {
	c.because("what %s of %s sends is not a valid response: %s", orUnknown(c.UpstreamHost), c.Cluster, orUnknown(c.UpstreamFailure))
	protocol := "HTTP/1.1"
	cluster := c.cluster()
	if cluster != nil && cluster.Protocol != router.ProtocolHTTP1 {
		protocol = "HTTP/2"
	}
	c.fact("the endpoint is spoken to in %s", protocol)
	c.fix(origin(cluster), "name the port of its Service after what it speaks (http-, http2-, grpc-, https-, tcp-) or set appProtocol, and trafficPolicy.tls where it wants TLS")
}

// tries says how many there were.
func (c *inquiry) tries() {
	if c.Attempts > 1 {
		c.fact("%d tries were made, the last to %s", c.Attempts, orUnknown(c.UpstreamHost))
	}
}

// origin is where a cluster was made from.
func origin(cluster *router.Cluster) router.Origin {
	if cluster == nil {
		return router.Origin{}
	}
	return cluster.Origin
}

// orElse returns the first of two that names an object.
func orElse(first, second router.Origin) router.Origin {
	if first.Kind != "" {
		return first
	}
	return second
}

func orUnknown(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return s
}

// counted returns "1 endpoint", "2 endpoints".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
