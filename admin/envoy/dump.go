package envoy

import (
	"encoding/base64"
	"time"

	"github.com/sluicegate/sluice/router"
)

// ConfigDump returns envoy.admin.v3.ConfigDump: bootstrap, clusters, endpoints, listeners,
// scoped routes (none), routes and secrets, whose keys are redacted.
func ConfigDump(s State) any {
	if s.Spec == nil {
		s.Spec = &router.Spec{}
	}
	return object{"configs": []object{
		s.bootstrap(), s.clusters(), s.endpoints(), s.listeners(),
		typed("envoy.admin.v3.ScopedRoutesConfigDump", object{}), s.routes(), s.secrets(),
	}}
}

// stamped adds what every part of a dump has: when it came into force.
func (s *State) stamped(fields object) object {
	if !s.Updated.IsZero() {
		fields["last_updated"] = s.Updated.UTC().Format(time.RFC3339Nano)
	}
	return fields
}

// versioned adds the version too.
func (s *State) versioned(fields object) object {
	put(fields, "version_info", s.Version)
	return s.stamped(fields)
}

func (s *State) bootstrap() object {
	node := object{"user_agent_name": "sluice"}
	put(node, "id", s.Node)
	if len(s.Metadata) > 0 {
		node["metadata"] = s.Metadata
	}
	bootstrap := object{"node": node}
	if s.Admin != "" {
		bootstrap["admin"] = object{"address": address(s.Admin)}
	}
	return typed("envoy.admin.v3.BootstrapConfigDump", s.stamped(object{"bootstrap": bootstrap}))
}

func (s *State) clusters() object {
	list := make([]object, 0, len(s.Spec.Clusters))
	for _, c := range s.Spec.Clusters {
		list = append(list, s.versioned(object{"cluster": typed("envoy.config.cluster.v3.Cluster", cluster(c))}))
	}
	dump := object{"dynamic_active_clusters": list}
	put(dump, "version_info", s.Version)
	return typed("envoy.admin.v3.ClustersConfigDump", dump)
}

func (s *State) endpoints() object {
	var list []object
	for _, c := range s.Clusters {
		list = append(list, s.stamped(object{"endpoint_config": typed("envoy.config.endpoint.v3.ClusterLoadAssignment", assignment(&c))}))
	}
	dump := object{}
	put(dump, "dynamic_endpoint_configs", list)
	return typed("envoy.admin.v3.EndpointsConfigDump", dump)
}

func (s *State) listeners() object {
	list := make([]object, 0, len(s.Spec.Listeners))
	for _, l := range s.Spec.Listeners {
		active := s.versioned(object{"listener": typed("envoy.config.listener.v3.Listener", s.listener(l))})
		list = append(list, object{"name": l.Name, "active_state": active})
	}
	dump := object{"dynamic_listeners": list}
	put(dump, "version_info", s.Version)
	return typed("envoy.admin.v3.ListenersConfigDump", dump)
}

func (s *State) routes() object {
	var list []object
	known := make(map[string]bool)
	for _, l := range s.Spec.Listeners {
		for _, t := range l.RouteTables() {
			if known[t.Name] {
				continue
			}
			known[t.Name] = true
			list = append(list, s.versioned(object{"route_config": typed("envoy.config.route.v3.RouteConfiguration", routeTable(t))}))
		}
	}
	dump := object{}
	put(dump, "dynamic_route_configs", list)
	return typed("envoy.admin.v3.RoutesConfigDump", dump)
}

// redacted stands for a key, as in Envoy's own dump.
var redacted = base64.StdEncoding.EncodeToString([]byte("[redacted]"))

func (s *State) secrets() object {
	var list []object
	add := func(name string, secret object) {
		secret["name"] = name
		list = append(list, s.versioned(object{"name": name, "secret": typed("envoy.extensions.transport_sockets.tls.v3.Secret", secret)}))
	}
	for _, secret := range s.Spec.Secrets {
		if len(secret.Certificate) > 0 {
			add(secretName(secret.Name), object{"tls_certificate": object{
				"certificate_chain": bytes(secret.Certificate), "private_key": object{"inline_bytes": redacted},
			}})
		}
		if len(secret.CA) > 0 {
			validation := object{"trusted_ca": bytes(secret.CA)}
			if len(secret.CRL) > 0 {
				validation["crl"] = bytes(secret.CRL)
			}
			add(secretName(secret.Name)+caSuffix, object{"validation_context": validation})
		}
	}
	dump := object{}
	put(dump, "dynamic_active_secrets", list)
	return typed("envoy.admin.v3.SecretsConfigDump", dump)
}

// caSuffix is what Istio adds to the name of a secret for the certificates that verify peers.
const caSuffix = "-cacert"

// secretName is a secret's in Istio's dumps.
func secretName(name string) string { return "kubernetes://" + name }

// bytes is envoy.config.core.v3.DataSource.
func bytes(b []byte) object {
	return object{"inline_bytes": base64.StdEncoding.EncodeToString(b)}
}
