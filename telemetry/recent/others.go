package recent

import (
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/sluicegate/sluice/router"
)

// crowd tells, while as many routes are told apart as may be, of which virtual hosts none is:
// their requests are all among the others. It never changes, so that what it says of a host
// holds for as long as there is room for no further route; then comes another.
//
// What it says is noted in the host's Mark. With tens of thousands of routes in use their names
// are in none of the processor's caches, but the host has just been routed by: its requests are
// counted without a look at any name.
type crowd struct {
	// version is the Mark. It is never 0, and of no other crowd in the process: several
	// Recorders may follow the requests of one table.
	version uint32
	// hosts are hashes of the names of the virtual hosts of the routes that are told apart, in
	// order. A host that has one of them by chance is not marked, and costs a look at its name.
	hosts []uint32
}

// crowds numbers them.
var crowds atomic.Uint32

// newCrowd returns that of the routes which are told apart.
func newCrowd(known *knownRoutes) *crowd {
	c := &crowd{version: crowds.Add(1), hosts: make([]uint32, 0, known.used)}
	for i := range known.slots {
		if route := known.slots[i].Load(); route != nil {
			c.hosts = append(c.hosts, hostHash(route.VirtualHost))
		}
	}
	slices.Sort(c.hosts)
	return c
}

func hostHash(name string) uint32 { return uint32(maphash.String(routeSeed, name)) }

// knows tells whether a request's route was found to be one of the others before. Nobody is in
// a crowd that is nil.
func (c *crowd) knows(d *router.Decision) bool {
	return c != nil && d.Route != nil && d.VirtualHost != nil && d.VirtualHost.Mark.Load() == c.version
}

// meets tells whether a request's route is one of the others because all of its virtual host
// are, and notes that. One that no route took has no host to its name: see [routeOf].
func (c *crowd) meets(d *router.Decision) bool {
	if c == nil || d.Route == nil || d.VirtualHost == nil {
		return false
	}
	if _, apart := slices.BinarySearch(c.hosts, hostHash(d.VirtualHost.Name)); apart {
		return false
	}
	d.VirtualHost.Mark.Store(c.version)
	return true
}
