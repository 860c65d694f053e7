package metrics

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// label is the place of a standard label in labelNames.
type label uint8

// The standard labels, in the order of their names, which is how they are shown.
const (
	connectionSecurityPolicy label = iota
	destinationApp
	destinationCanonicalRevision
	destinationCanonicalService
	destinationCluster
	destinationPrincipal
	destinationService
	destinationServiceName
	destinationServiceNamespace
	destinationVersion
	destinationWorkload
	destinationWorkloadNamespace
	grpcResponseStatus
	reporter
	requestProtocol
	responseCode
	responseFlags
	sourceApp
	sourceCanonicalRevision
	sourceCanonicalService
	sourceCluster
	sourcePrincipal
	sourceVersion
	sourceWorkload
	sourceWorkloadNamespace
	labelCount
)

var labelNames = [labelCount]string{
	"connection_security_policy", "destination_app", "destination_canonical_revision", "destination_canonical_service",
	"destination_cluster", "destination_principal", "destination_service", "destination_service_name",
	"destination_service_namespace", "destination_version", "destination_workload", "destination_workload_namespace",
	"grpc_response_status", "reporter", "request_protocol", "response_code", "response_flags", "source_app",
	"source_canonical_revision", "source_canonical_service", "source_cluster", "source_principal", "source_version",
	"source_workload", "source_workload_namespace",
}

const (
	unknown = "unknown"
	latest  = "latest"
	other   = "other"
)

// ends are who called whom.
type ends struct {
	inbound             bool
	source, destination identity.Workload
	service             router.Service
	subset              string
}

// ends returns the ends of what was counted under a key.
func (m *Metrics) ends(a *applied, k *key) ends {
	if k.policy.inbound {
		return m.inboundEnds(a, k)
	}
	e := ends{source: m.own}
	e.source.Principal = ""
	e.service = m.outboundService(a, k)
	if w, ok := m.o.Identity.Endpoint(k.endpoint, e.service.Namespace); ok {
		e.destination = w
	}
	if e.destination.Name == "" && k.callee != nil {
		e.destination = k.callee.Workload
	}
	if k.missing != nil {
		_, e.subset = partsOf(k.missing.Name)
	}
	if c := k.cluster; c != nil {
		e.subset = c.Subset
		if c.TLS != nil && c.TLS.Certificate != nil && c.TLS.Certificate.Mesh && k.endpoint != nil {
			e.source.Principal = m.own.Principal
		}
	}
	if e.source.Principal == "" { // nobody proved who they are
		e.destination.Principal = ""
	}
	e.destination.Namespace = cmp.Or(identity.PrincipalNamespace(e.destination.Principal), e.destination.Namespace)
	return e
}

func (m *Metrics) inboundEnds(a *applied, k *key) ends {
	e := ends{inbound: true, destination: m.own}
	if k.caller != nil {
		e.source = k.caller.Workload
	}
	e.source.Principal = k.principal
	e.source.Namespace = cmp.Or(identity.PrincipalNamespace(k.principal), e.source.Namespace)
	if !k.mutual {
		e.destination.Principal = ""
	}
	if k.cluster != nil {
		if e.service = k.cluster.Service; e.service.Host == "" {
			e.service = a.ownService(k.cluster.Port)
		}
	}
	if e.service.Name == "" {
		e.service.Host = cmp.Or(e.service.Host, m.own.CanonicalService)
		e.service.Name = m.own.CanonicalService
	}
	e.service.Namespace = cmp.Or(m.own.Namespace, e.service.Namespace)
	return e
}

// outboundService is what was called: the cluster's, the one that a route names though there is no
// such cluster, or that of the host which a workload of the mesh asked for, where the mesh knows it.
func (m *Metrics) outboundService(a *applied, k *key) router.Service {
	switch {
	case k.cluster != nil:
		return serviceOf(k.cluster)
	case k.missing != nil:
		host, _ := partsOf(k.missing.Name)
		if s := a.service(host); s.Host != "" {
			return s
		}
		return serviceByHost(host)
	case !m.o.Mesh || k.kind == kindTCP:
		return router.Service{}
	case k.host != nil:
		host, _, _ := strings.Cut(k.host.Name, ":")
		return a.service(host)
	case k.flags&proxy.FlagNoRoute != 0:
		return router.Service{Name: "BlackHoleCluster"}
	}
	return router.Service{}
}

// serviceOf returns a cluster's service, by its host where the cluster does not say.
func serviceOf(c *router.Cluster) router.Service {
	switch c.Name {
	case "PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster":
		return router.Service{Name: c.Name}
	}
	if c.Service.Host != "" {
		return c.Service
	}
	return serviceByHost(c.Host)
}

// partsOf returns the host and the subset in a cluster's name, "outbound|9080|v1|HOST".
func partsOf(cluster string) (host, subset string) {
	parts := strings.SplitN(cluster, "|", 4)
	if len(parts) < 4 {
		return cluster, ""
	}
	return parts[3], parts[2]
}

// serviceByHost takes "NAME.NAMESPACE.svc.DOMAIN" apart.
func serviceByHost(host string) router.Service {
	name, rest, _ := strings.Cut(host, ".")
	namespace, rest, _ := strings.Cut(rest, ".")
	if rest == "svc" || strings.HasPrefix(rest, "svc.") {
		return router.Service{Host: host, Name: name, Namespace: namespace}
	}
	return router.Service{Host: host, Name: host}
}

// labelValues are the standard labels' values.
type labelValues [labelCount]string

// folded returns them without the way in which an exchange ended.
func (v labelValues) folded() *labelValues {
	for _, l := range []label{responseCode, responseFlags} {
		v[l] = other
	}
	if v[grpcResponseStatus] != "" {
		v[grpcResponseStatus] = other
	}
	return &v
}

// values returns the standard labels' values.
func (k *key) values(e *ends) (v labelValues) {
	if k.overflow {
		for i := range v {
			v[i] = other
		}
		v[reporter] = reporterName(e.inbound)
		v[requestProtocol] = protocols[k.kind]
		return v
	}
	s, d := &e.source, &e.destination
	v = labelValues{
		connectionSecurityPolicy:     unknown,
		destinationApp:               d.App,
		destinationCanonicalRevision: cmp.Or(d.CanonicalRevision, latest),
		destinationCanonicalService:  d.CanonicalService,
		destinationCluster:           d.Cluster,
		destinationPrincipal:         d.Principal,
		destinationService:           e.service.Host,
		destinationServiceName:       e.service.Name,
		destinationServiceNamespace:  cmp.Or(d.Namespace, e.service.Namespace),
		destinationVersion:           d.Version,
		destinationWorkload:          d.Name,
		destinationWorkloadNamespace: d.Namespace,
		reporter:                     reporterName(e.inbound),
		requestProtocol:              protocols[k.kind],
		responseCode:                 strconv.Itoa(int(k.status)),
		responseFlags:                k.flags.String(),
		sourceApp:                    s.App,
		sourceCanonicalRevision:      cmp.Or(s.CanonicalRevision, latest),
		sourceCanonicalService:       s.CanonicalService,
		sourceCluster:                s.Cluster,
		sourcePrincipal:              s.Principal,
		sourceVersion:                s.Version,
		sourceWorkload:               s.Name,
		sourceWorkloadNamespace:      s.Namespace,
	}
	if e.inbound {
		v[connectionSecurityPolicy] = "none"
		if k.mutual {
			v[connectionSecurityPolicy] = "mutual_tls"
		}
	}
	for i := range v {
		if v[i] == "" {
			v[i] = unknown
		}
	}
	v[grpcResponseStatus] = k.grpc.label()
	return v
}

func (g grpcStatus) label() string {
	switch {
	case g == grpcNone:
		return ""
	case g > grpcLast:
		return other
	}
	return strconv.Itoa(int(g))
}

func reporterName(inbound bool) string {
	if inbound {
		return "destination"
	}
	return "source"
}
