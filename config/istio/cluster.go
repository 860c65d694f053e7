package istio

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// clusterKey names a cluster: a port of a host, or of one of its subsets.
type clusterKey struct {
	host, subset string
	port         uint16
	// asIs is for clients that speak the endpoints' own TLS, through a gateway that passes
	// it on: whatever the DestinationRule says, nothing is wrapped around it.
	asIs bool
}

// String returns the name that Istio gives the cluster.
func (k clusterKey) String() string {
	if k == passthrough {
		return k.host
	}
	if k.asIs {
		return "outbound_." + strconv.Itoa(int(k.port)) + "_." + k.subset + "_." + k.host
	}
	return "outbound|" + strconv.Itoa(int(k.port)) + "|" + k.subset + "|" + k.host
}

// passthrough is the cluster for hosts that nobody knows: the request goes where it
// was sent to.
var passthrough = clusterKey{host: "PassthroughCluster"}

// clusters are the clusters that routes name, whether they exist or not.
type clusters struct {
	registry  *registry
	rules     *destinationRules
	workloads *workloads
	// place is where this proxy is.
	place *place

	byKey  map[clusterKey]*cluster
	byHost map[string][]*cluster
	// order has the clusters that exist, by name.
	order sortedList[*cluster]
	// changed are the clusters to build anew, idle those that nobody names any more.
	changed, idle map[*cluster]struct{}
}

// cluster is one cluster that routes name.
type cluster struct {
	key  clusterKey
	name string
	// built is nil where the cluster does not exist; missing then says why.
	built   *router.Cluster
	missing missing
	// uses counts who names it: compiled forms of VirtualServices, and the sidecar's own routes.
	uses int
	// settled: it was there before. Those who have come to name a new one are looked at anyway.
	settled bool
}

// missing says why a cluster does not exist.
type missing struct {
	reason  config.Reason
	field   string
	message string
}

func newClusters(r *registry, d *destinationRules, w *workloads, place *place) *clusters {
	return &clusters{
		registry: r, rules: d, workloads: w, place: place,
		byKey:   map[clusterKey]*cluster{},
		byHost:  map[string][]*cluster{},
		order:   sortedList[*cluster]{compare: func(a, b *cluster) int { return cmp.Compare(a.name, b.name) }},
		changed: map[*cluster]struct{}{},
		idle:    map[*cluster]struct{}{},
	}
}

// use counts that somebody names a cluster, or with -1 that they no longer do.
func (c *clusters) use(key clusterKey, by int) {
	k := c.byKey[key]
	if k == nil {
		k = &cluster{key: key, name: key.String()}
		c.byKey[key] = k
		c.byHost[key.host] = append(c.byHost[key.host], k)
		c.changed[k] = struct{}{}
	}
	if k.uses += by; k.uses == 0 {
		c.idle[k] = struct{}{}
	} else {
		delete(c.idle, k)
	}
}

// hostChanged marks the clusters of a host. A wildcard marks those of every host
// that it covers, and the clusters of aliases follow what they stand for.
func (c *clusters) hostChanged(host string) {
	if !isWildcard(host) {
		for _, k := range c.byHost[host] {
			c.changed[k] = struct{}{}
		}
		return
	}
	for h, ks := range c.byHost {
		if covers(host, h) {
			for _, k := range ks {
				c.changed[k] = struct{}{}
			}
		}
	}
}

// allChanged marks all clusters.
func (c *clusters) allChanged() {
	for _, k := range c.byKey {
		c.changed[k] = struct{}{}
	}
}

// settle builds the clusters that changed. It returns whether the list of clusters
// did, and the hosts of those that came into being, went, or are missing for
// another reason than before, of those that there were.
func (c *clusters) settle() (bool, map[string]struct{}) {
	listChanged, affected := false, map[string]struct{}{}
	if len(c.idle) > 0 {
		listChanged = c.dropIdle()
	}
	for k := range c.changed {
		before, beforeMissing := k.built, k.missing
		built, why := c.build(k.key)
		if before != nil && built != nil {
			if keepPolicies(built, before); reflect.DeepEqual(before, built) {
				built = before
			}
		}
		k.built, k.missing = built, why
		if built != before {
			listChanged = true
			c.order.set(k, built != nil)
		}
		if k.settled && k.missing != beforeMissing {
			affected[k.key.host] = struct{}{}
		}
		k.settled = true
	}
	clear(c.changed)
	return listChanged, affected
}

// dropIdle forgets the clusters that nobody names any more, and returns whether one of them
// existed.
func (c *clusters) dropIdle() (existed bool) {
	hosts := map[string]struct{}{}
	for k := range c.idle {
		existed = existed || k.built != nil
		c.order.set(k, false)
		delete(c.byKey, k.key)
		delete(c.changed, k)
		hosts[k.key.host] = struct{}{}
	}
	for host := range hosts {
		c.byHost[host] = slices.DeleteFunc(c.byHost[host], func(k *cluster) bool {
			_, idle := c.idle[k]
			return idle
		})
		if len(c.byHost[host]) == 0 {
			delete(c.byHost, host)
		}
	}
	clear(c.idle)
	return existed
}

// all returns the clusters that exist.
func (c *clusters) all() []*router.Cluster {
	order := c.order.list()
	out := make([]*router.Cluster, len(order))
	for i, k := range order {
		out[i] = k.built
	}
	return out
}

// resolve returns the service and the policy behind a cluster, or why there are none.
func (c *clusters) resolve(key clusterKey) (*service, *policy, missing) {
	s := c.registry.lookup(key.host)
	if s == nil {
		return nil, nil, c.noService(key)
	}
	if _, ok := s.port(key.port); !ok {
		return s, nil, missing{PortNotFound, "port", fmt.Sprintf("%s has no such port (has %s); requests get 503. Name one of them in port.number", s.host, portNames(s))}
	}
	policy := c.rules.forService(s)
	if _, ok := policy.subset(key.subset); key.subset != "" && !ok {
		return s, policy, c.noSubset(key, policy)
	}
	return s, policy, missing{}
}

// build returns the cluster, or why it does not exist.
func (c *clusters) build(key clusterKey) (*router.Cluster, missing) {
	if key == passthrough {
		return &router.Cluster{Name: key.host, Host: key.host, Resolution: router.ResolutionOriginal}, missing{}
	}
	s, policy, why := c.resolve(key)
	if why.reason != "" {
		return nil, why
	}
	built := &router.Cluster{
		Name:       key.String(),
		Host:       key.host,
		Subset:     key.subset,
		Port:       key.port,
		Resolution: s.resolution,
		Service:    s.telemetryName(),
		External:   s.entry != nil && s.entry.Location == networking.ServiceEntry_MESH_EXTERNAL,
		Origin:     originOf(s.object, ""),
	}
	port, _ := s.port(key.port)
	built.Protocol = port.upstream
	of, _ := policy.subset(key.subset)
	if key.subset != "" {
		built.Origin = of.origin
	}
	if policy != nil {
		traffic := c.trafficPolicyOf(policy, key)
		traffic.apply(built, c.place)
		built.TLS = c.clientTLS(traffic.tls, s, policy, built)
	}
	if key.asIs {
		built.Protocol, built.TLS = router.ProtocolTCP, nil
	}
	if built.Resolution != router.ResolutionOriginal {
		built.Endpoints = c.endpoints(s, key.port, of.Subset.GetLabels())
	}
	return built, missing{}
}

// endpoints returns those endpoints of a service's port that have the labels.
func (c *clusters) endpoints(s *service, port uint16, labels map[string]string) []*router.Endpoint {
	all := c.workloads.of(c.registry.parts(s), port)
	if len(labels) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(e *router.Endpoint) bool { return !selects(labels, e.Labels) })
}

func (c *clusters) noService(key clusterKey) missing {
	if h := c.registry.byHost[key.host]; h != nil && c.registry.choose(h.all, nil) != nil {
		return missing{ServiceNotFound, "host", "the Sidecar of this workload does not import it, nor does a rule for this namespace only; requests get 503. Add it to egress.hosts"}
	}
	if c.registry.exists(key.host) {
		return missing{ServiceNotFound, "host", fmt.Sprintf("no service of that host is exported to namespace %s; see its exportTo", c.registry.namespace)}
	}
	return missing{ServiceNotFound, "host", "no such Service or ServiceEntry; requests get 503. Correct the name, or add a ServiceEntry for it"}
}

func (c *clusters) noSubset(key clusterKey, p *policy) missing {
	if p == nil {
		return missing{SubsetNotFound, "subset",
			fmt.Sprintf("no DestinationRule for %s applies here; requests get 503. Add one with that subset", key.host)}
	}
	rules := listed(len(p.rules), func(i int) string { return p.rules[i].object.Namespace + "/" + p.rules[i].object.Name })
	return missing{SubsetNotFound, "subset",
		fmt.Sprintf("no such subset in DestinationRule %s (has %s); requests get 503", rules, p.subsetNames())}
}

func portNames(s *service) string {
	if len(s.ports) == 0 {
		return "none"
	}
	return listed(len(s.ports), func(i int) string { return strconv.Itoa(int(s.ports[i].number)) })
}

// maxListed is how many names a message lists: there may be as many messages as names.
const maxListed = 20

// listed writes so many names for people.
func listed(n int, name func(i int) string) string {
	more := n - maxListed
	if more < 2 {
		more = 0
	}
	names := make([]string, n-more)
	for i := range names {
		names[i] = name(i)
	}
	list := strings.Join(names, ", ")
	if more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}
