package validate

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// workloadEntry checks a workload: a WorkloadEntry
// (https://istio.io/latest/docs/reference/config/networking/workload-entry/), at nil,
// or an endpoint of a ServiceEntry whose ports are named. allowName says that the
// address may be a DNS name.
func (c *checker) workloadEntry(spec *networking.WorkloadEntry, at *config.Path, ports map[string]bool, allowName bool) {
	address := spec.Address
	isUnix := strings.HasPrefix(address, unixPrefix)
	switch {
	case address == "" && spec.Network == "":
		c.fail(Missing, at.Field("address"), "a workload needs an address")
		return
	case address == "":
		c.warn(Missing, at.Field("address"), "without an address the workload is reached through the gateway of network %q only", spec.Network)
	case isUnix:
		c.unixPath(at.Field("address"), address)
		if len(spec.Ports) > 0 {
			c.fail(Conflict, at.Field("ports"), "a socket in the file system has no ports: remove them")
		}
		if ports != nil && len(ports) != 1 {
			c.fail(Conflict, at.Field("address"), "a socket in the file system serves one port, and the service has %d", len(ports))
		}
	case isIP(address):
	case !allowName:
		c.fail(BadAddress, at.Field("address"), "%q is not an IP address: with resolution STATIC it must be; for a name write resolution: DNS", address)
	case nameProblem(address) != "":
		c.fail(BadAddress, at.Field("address"), "%q is neither a name nor an IP address", address)
	}
	c.endpointPorts(at.Field("ports"), spec.Ports, ports)
	c.labelMap(at.Field("labels"), spec.Labels)
}
