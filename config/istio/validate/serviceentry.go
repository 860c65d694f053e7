package validate

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// serviceEntry checks a ServiceEntry
// (https://istio.io/latest/docs/reference/config/networking/service-entry/).
func (c *checker) serviceEntry(spec *networking.ServiceEntry) {
	if spec.WorkloadSelector != nil {
		c.selector(field("workloadSelector").Field("labels"), spec.WorkloadSelector.Labels)
		if len(spec.Endpoints) > 0 {
			c.fail(Conflict, field("workloadSelector"), "workloadSelector and endpoints exclude each other: keep one")
		}
		if spec.Resolution == networking.ServiceEntry_NONE {
			c.warn(NoEffect, field("workloadSelector"), "with resolution NONE no endpoints are used: write resolution: STATIC")
		}
	}
	c.serviceHosts(spec)
	c.serviceAddresses(spec)
	ports := c.servicePorts(spec)
	c.resolution(spec, ports)
	c.hostsTellApart(spec)
	c.exportTo(spec.ExportTo, true, false)
}

func (c *checker) serviceHosts(spec *networking.ServiceEntry) {
	if len(spec.Hosts) == 0 {
		c.fail(Missing, field("hosts"), "a ServiceEntry needs at least one host")
	}
	for i, host := range spec.Hosts {
		at := field("hosts").Index(i)
		if host == "*" {
			c.fail(BadHost, at, "\"*\" would be a service of every name: write a name, or a wildcard such as *.example.com")
			continue
		}
		if problem := wildcardProblem(host); problem != "" {
			c.badHost(at, host, problem)
		}
		if partialWildcard(host) {
			c.warn(BadHost, at, "%q has a wildcard that is not a whole part of the name: write *.example.com", host)
		}
	}
}

func (c *checker) serviceAddresses(spec *networking.ServiceEntry) {
	for i, address := range spec.Addresses {
		at := field("addresses").Index(i)
		c.subnet(at, address)
		if strings.Contains(address, "/") && spec.Resolution != networking.ServiceEntry_NONE && spec.Resolution != networking.ServiceEntry_STATIC {
			c.fail(Conflict, at, "a block of addresses goes with resolution NONE or STATIC only, not %v: write single addresses", spec.Resolution)
		}
	}
}

// servicePorts checks the ports and returns their names.
func (c *checker) servicePorts(spec *networking.ServiceEntry) map[string]bool {
	names, numbers := map[string]bool{}, map[uint32]bool{}
	for i, port := range spec.Ports {
		at := field("ports").Index(i)
		if names[port.Name] {
			c.fail(Duplicate, at.Field("name"), "the name %q is here already: names must be unique", port.Name)
		}
		if numbers[port.Number] {
			c.fail(Duplicate, at.Field("number"), "port %d is here already: numbers must be unique", port.Number)
		}
		names[port.Name], numbers[port.Number] = true, true
		c.portName(at.Field("name"), port.Name)
		c.optionalProtocol(at.Field("protocol"), port.Protocol)
		c.portNumber(at.Field("number"), port.Number)
		if port.TargetPort != 0 {
			c.portNumber(at.Field("targetPort"), port.TargetPort)
		}
		if len(spec.Addresses) == 0 && !c.allocatesAddress(spec) && (port.Protocol == "" || port.Protocol == "TCP") {
			c.warn(Missing, field("addresses"), "without addresses, connections to TCP port %d cannot be told from those to other services: add some", port.Number)
		}
	}
	return names
}

// allocatesAddress reports whether a mesh gives the service an address of its own.
func (c *checker) allocatesAddress(spec *networking.ServiceEntry) bool {
	return spec.Resolution != networking.ServiceEntry_NONE && !strings.EqualFold(c.labels["networking.istio.io/enable-autoallocate-ip"], "false")
}

// resolution checks that hosts and endpoints fit how endpoints are found.
func (c *checker) resolution(spec *networking.ServiceEntry, ports map[string]bool) {
	switch spec.Resolution {
	case networking.ServiceEntry_NONE:
		if len(spec.Endpoints) > 0 {
			c.fail(Conflict, field("endpoints"), "with resolution NONE (which is also the default) endpoints are not used: write resolution: STATIC or DNS")
		}
	case networking.ServiceEntry_STATIC:
		for i, endpoint := range spec.Endpoints {
			c.workloadEntry(endpoint, field("endpoints").Index(i), ports, false)
		}
	case networking.ServiceEntry_DNS, networking.ServiceEntry_DNS_ROUND_ROBIN:
		c.dnsResolution(spec, ports)
	case networking.ServiceEntry_DYNAMIC_DNS:
		for i, host := range spec.Hosts {
			if !strings.HasPrefix(host, "*") {
				c.fail(Conflict, field("hosts").Index(i), "DYNAMIC_DNS is for wildcards: write resolution: DNS for %q", host)
			}
		}
		if len(spec.Endpoints) > 0 {
			c.warn(NoEffect, field("endpoints"), "with resolution DYNAMIC_DNS endpoints are not used: remove them")
		}
	}
}

func (c *checker) dnsResolution(spec *networking.ServiceEntry, ports map[string]bool) {
	if len(spec.Endpoints) == 0 {
		for i, host := range spec.Hosts {
			if nameProblem(host) != "" {
				c.fail(Conflict, field("hosts").Index(i), "%q cannot be looked up in DNS: give endpoints, or write a full name", host)
			}
		}
	}
	if spec.Resolution == networking.ServiceEntry_DNS_ROUND_ROBIN && len(spec.Endpoints) > 1 {
		c.fail(Conflict, field("endpoints"), "DNS_ROUND_ROBIN takes one endpoint at most: write resolution: DNS")
	}
	for i, endpoint := range spec.Endpoints {
		at := field("endpoints").Index(i)
		if nameProblem(endpoint.Address) != "" && !isIP(endpoint.Address) {
			c.fail(BadAddress, at.Field("address"), "%q is neither a name nor an IP address", endpoint.Address)
		}
		c.labelMap(at.Field("labels"), endpoint.Labels)
		c.endpointPorts(at.Field("ports"), endpoint.Ports, ports)
	}
	if len(spec.Addresses) > 0 && len(spec.Hosts) > 1 {
		for i, port := range spec.Ports {
			if parseProtocol(port.Protocol).isTCP() {
				c.warn(Conflict, field("ports").Index(i).Field("protocol"), "several hosts share the addresses, so connections to this port cannot be told apart: one ServiceEntry for each host")
				break
			}
		}
	}
}

// hostsTellApart checks that connections to several hosts can be told apart: by the
// authority of HTTP or the server name of TLS. With resolution NONE the host does not
// matter.
func (c *checker) hostsTellApart(spec *networking.ServiceEntry) {
	if spec.Resolution == networking.ServiceEntry_NONE || len(spec.Hosts) < 2 {
		return
	}
	for i, port := range spec.Ports {
		if p := parseProtocol(port.Protocol); !p.isHTTP() && !p.isTLS() {
			c.fail(Conflict, field("ports").Index(i).Field("protocol"), "with several hosts a port must speak HTTP or TLS, for the host to be known: one ServiceEntry for each host")
			return
		}
	}
}

// endpointPorts checks the ports of an endpoint. defined are the names of the
// service's ports; nil where they are not known.
func (c *checker) endpointPorts(at *config.Path, ports map[string]uint32, defined map[string]bool) {
	for _, name := range sortedKeys(ports) {
		at := at.Key(name)
		if defined != nil && !defined[name] {
			c.fail(BadName, at, "the service has no port named %q: use a name of its ports", name)
		}
		c.portName(at, name)
		c.portNumber(at, ports[name])
	}
}
