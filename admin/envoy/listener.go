package envoy

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// listener is envoy.config.listener.v3.Listener.
func (s *State) listener(l *router.Listener) object {
	o := object{"name": l.Name, "address": address(s.socketOf(l)), "traffic_direction": "OUTBOUND"}
	if s.Inbound[l.Name] {
		o["traffic_direction"] = "INBOUND"
	}
	var chains []object
	for _, t := range l.Tables {
		match := object{}
		if len(l.Tables) > 1 && t.Port != 0 {
			match["destination_port"] = t.Port
		}
		chains = append(chains, filterChain(t.Name, match, requests(t), nil))
	}
	tls := false
	for _, c := range l.Chains {
		tls = tls || len(c.ServerNames) > 0
		chains = append(chains, chain(c)...)
	}
	put(o, "filter_chains", chains)
	if tls {
		o["listener_filters"] = []object{{
			"name":         "envoy.filters.listener.tls_inspector",
			"typed_config": typed("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", object{}),
		}}
	}
	return o
}

// socketOf is where a listener listens, or should.
func (s *State) socketOf(l *router.Listener) string {
	if at := s.Sockets[l.Name]; at != "" {
		return at
	}
	if strings.HasPrefix(l.Address, "unix://") {
		return l.Address
	}
	host := l.Address
	if host == "" {
		host = "0.0.0.0"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(l.Port)))
}

// chain is the filter chains that a chain of ours comes to: one for its requests, or one for
// each of its streams.
func chain(c *router.Chain) []object {
	match := object{}
	var names []string
	for _, name := range c.ServerNames {
		if name != "*" {
			names = append(names, name)
		}
	}
	put(match, "server_names", names)
	if len(c.ServerNames) > 0 {
		match["transport_protocol"] = "tls"
	}
	if c.Table != nil {
		return []object{filterChain(c.Name, match, requests(c.Table), serverTLS(c.TLS))}
	}
	var list []object
	for _, stream := range c.Streams {
		own := object{}
		for k, v := range match {
			own[k] = v
		}
		var ranges []object
		for _, subnet := range stream.Subnets {
			ranges = append(ranges, object{"address_prefix": subnet.Addr().String(), "prefix_len": subnet.Bits()})
		}
		put(own, "prefix_ranges", ranges)
		list = append(list, filterChain(c.Name, own, tcpProxy(stream), serverTLS(c.TLS)))
	}
	return list
}

func filterChain(name string, match, filter, socket object) object {
	o := object{"filters": []object{filter}}
	put(o, "name", name)
	if len(match) > 0 {
		o["filter_chain_match"] = match
	}
	put(o, "transport_socket", socket)
	return o
}

// requests is the filter that routes requests by a table.
func requests(t *router.RouteTable) object {
	return object{
		"name": "envoy.filters.network.http_connection_manager",
		"typed_config": typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
			"stat_prefix": "outbound_" + t.Name,
			"rds": object{
				"config_source":     object{"ads": object{}, "resource_api_version": "V3"},
				"route_config_name": t.Name,
			},
			"http_filters": []object{{
				"name":         "envoy.filters.http.router",
				"typed_config": typed("envoy.extensions.filters.http.router.v3.Router", object{}),
			}},
		}),
	}
}

// tcpProxy is the filter that hands bytes on.
func tcpProxy(s *router.StreamRoute) object {
	o := object{"stat_prefix": s.Name}
	if s.Name == "" {
		o["stat_prefix"] = s.Origin.String()
	}
	if len(s.Destinations) == 1 {
		o["cluster"] = s.Destinations[0].Cluster
	} else {
		var list []object
		for _, d := range s.Destinations {
			if d.Weight > 0 {
				list = append(list, object{"name": d.Cluster, "weight": d.Weight})
			}
		}
		o["weighted_clusters"] = object{"clusters": list}
	}
	if s.IdleTimeout > 0 {
		o["idle_timeout"] = duration(s.IdleTimeout)
	}
	return object{
		"name":         "envoy.filters.network.tcp_proxy",
		"typed_config": typed("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", o),
	}
}

var tlsVersions = map[uint16]string{
	tls.VersionTLS10: "TLSv1_0", tls.VersionTLS11: "TLSv1_1", tls.VersionTLS12: "TLSv1_2", tls.VersionTLS13: "TLSv1_3",
}

// serverTLS is the transport socket that ends the client's TLS; nil for none.
func serverTLS(t *router.ServerTLS) object {
	if t == nil {
		return nil
	}
	common := commonTLS(t.Certificates, t.Authorities, t.SubjectAltNames, t.Protocols)
	params := object{}
	put(params, "tls_minimum_protocol_version", tlsVersions[t.MinVersion])
	put(params, "tls_maximum_protocol_version", tlsVersions[t.MaxVersion])
	if len(params) > 0 {
		common["tls_params"] = params
	}
	return object{
		"name": "envoy.transport_sockets.tls",
		"typed_config": typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", object{
			"common_tls_context": common, "require_client_certificate": t.ClientAuth == router.RequireClientCertificate,
		}),
	}
}

// clientTLS is the transport socket that wraps the connections to endpoints.
func clientTLS(t *router.ClientTLS) object {
	var certificates []router.Credential
	if t.Certificate != nil {
		certificates = append(certificates, *t.Certificate)
	}
	o := object{"common_tls_context": commonTLS(certificates, t.Authorities, t.SubjectAltNames, t.Protocols)}
	put(o, "sni", t.ServerName)
	return object{
		"name":         "envoy.transport_sockets.tls",
		"typed_config": typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", o),
	}
}

// commonTLS is envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.
func commonTLS(certificates []router.Credential, a router.Authorities, names, protocols []string) object {
	o := object{}
	put(o, "alpn_protocols", protocols)
	var presented []object
	for _, c := range certificates {
		presented = append(presented, sds(credentialName(&c)))
	}
	put(o, "tls_certificate_sds_secret_configs", presented)
	ca := ""
	switch {
	case len(a.Secrets) > 0:
		ca = secretName(a.Secrets[0])
		if !strings.HasSuffix(ca, caSuffix) {
			ca += caSuffix
		}
	case a.CAFile != "":
		ca = "file-root:" + a.CAFile
	case a.Mesh:
		ca = "ROOTCA"
	}
	if ca == "" && len(names) == 0 {
		return o
	}
	combined := object{"default_validation_context": object{}}
	var matchers []object
	for _, name := range names {
		matchers = append(matchers, object{"exact": name})
	}
	put(combined["default_validation_context"].(object), "match_subject_alt_names", matchers)
	if ca == "" {
		o["validation_context"] = combined["default_validation_context"]
		return o
	}
	combined["validation_context_sds_secret_config"] = sds(ca)
	o["combined_validation_context"] = combined
	return o
}

// credentialName is what Istio calls the source of a certificate.
func credentialName(c *router.Credential) string {
	switch {
	case c.Secret != "":
		return secretName(c.Secret)
	case c.CertificateFile != "":
		return "file-cert:" + c.CertificateFile + "~" + c.KeyFile
	case c.ACME:
		return "acme:" + strings.Join(c.Hosts, ",")
	}
	return "default"
}

// sds is a secret that is named rather than told.
func sds(name string) object {
	return object{"name": name, "sds_config": object{"ads": object{}, "resource_api_version": "V3"}}
}
