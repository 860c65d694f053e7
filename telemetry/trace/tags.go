package trace

import (
	"cmp"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// tags are a span's, with strings for values, as Envoy sends them.
type tags []attribute.KeyValue

func (t *tags) set(name, value string) { *t = append(*t, attribute.String(name, value)) }

// setGiven sets what is known.
func (t *tags) setGiven(name, value string) {
	if value != "" {
		t.set(name, value)
	}
}

// server sets what Envoy tells of a downstream request.
func (m *spanMaker) server(set *tags, r *record, values string) {
	set.setGiven("guid:x-request-id", r.requestID.of(values))
	set.setGiven("guid:x-client-trace-id", r.clientTraceID.of(values))
	set.set("http.url", r.scheme.of(values)+"://"+r.authority.of(values)+r.path.of(values))
	set.set("http.method", r.method.of(values))
	set.set("http.protocol", r.protocol.of(values))
	set.set("http.status_code", strconv.Itoa(r.status))
	set.set("request_size", strconv.FormatInt(r.received, 10))
	set.set("response_size", strconv.FormatInt(r.sent, 10))
	set.set("user_agent", cmp.Or(r.agent.of(values), "-"))
	set.set("downstream_cluster", cmp.Or(r.downstreamCluster.of(values), "-"))
	set.set("response_flags", r.flags.String())
	if r.peer.IsValid() {
		set.set("peer.address", r.peer.Unmap().String())
	}
	if r.cluster != nil {
		set.upstream(r.cluster)
	}
	set.setGiven("upstream_address", r.upstream.of(values))
	if r.grpc {
		set.setGiven("grpc.path", r.path.of(values))
		set.setGiven("grpc.authority", r.authority.of(values))
		set.setGiven("grpc.content_type", r.contentType.of(values))
		set.setGiven("grpc.timeout", r.grpcTimeout.of(values))
	}
	set.setGiven("grpc.status_code", r.grpcStatus.of(values))
}

// client sets what Envoy tells of an upstream request. last: it is the one that ended the
// exchange, unless it is a mirror's.
func (m *spanMaker) client(set *tags, r *record, try *proxy.TracedTry, values string, retries int, last bool) {
	address := ""
	if try.Endpoint != nil {
		address = try.Endpoint.Address
	}
	flags := "-"
	if last && !try.Mirror {
		if !r.nobody() {
			address = cmp.Or(r.upstream.of(values), address)
		}
		flags = r.flags.String()
		set.setGiven("grpc.status_code", r.grpcStatus.of(values))
	}
	set.set("response_flags", flags)
	if try.Cluster != nil {
		set.upstream(try.Cluster)
	}
	set.setGiven("upstream_address", address)
	set.setGiven("peer.address", address)
	if !try.Mirror {
		set.set("http.status_code", strconv.Itoa(try.Status))
	}
	if try.Retry {
		set.set("retry.count", strconv.Itoa(retries))
	}
	if try.Mirror {
		set.set("sluice.mirror", "true")
	}
	if e := try.Endpoint; e != nil {
		set.setGiven("zone", e.Locality)
	}
	if try.Failure == proxy.FailDownstream {
		set.set("canceled", "true")
	}
}

// upstream sets the cluster's name.
func (t *tags) upstream(c *router.Cluster) {
	t.set("upstream_cluster", c.Name)
	t.set("upstream_cluster.name", c.Name)
}

// custom sets Istio's own tags, and those of the policy, which may take the place of others.
func (m *spanMaker) custom(set *tags, r *record, values string) {
	if !r.policy.tracing.NoIstioTags {
		*set = append(*set, m.istio...)
	}
	for i, t := range r.policy.tags {
		if r.tags[i] != noText {
			set.set(t.Name, r.tags[i].of(values))
		}
	}
}

// serviceName names the proxy's workload as Istio does: its app label and namespace.
func (t *Tracer) serviceName(tracing *router.Tracing) string {
	return cmp.Or(tracing.ServiceName, serviceName(t.o.Identity))
}

func serviceName(who identity.Identity) string {
	own := who.Own()
	name := cmp.Or(own.App, own.CanonicalService, own.Name)
	if name == "" {
		return "istio-proxy"
	}
	return name + "." + cmp.Or(who.Namespace, "default")
}
