package ui

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

// BenchmarkUpdate is what one update costs the proxy, with 1,000 busy routes, 1,000 endpoints
// and 400 edges. There is one a second, and only while a page is open.
func BenchmarkUpdate(b *testing.B) {
	p := &proxy{}
	host := &router.VirtualHost{Name: "crowd:80", Domains: []string{"crowd.example.com"}}
	for i := range 1000 {
		host.Routes = append(host.Routes, &router.Route{RouteAction: &router.RouteAction{Name: fmt.Sprint("route-", i), Destinations: []router.Destination{{Cluster: "outbound|80||crowd"}}}})
	}
	p.spec = &router.Spec{Listeners: []*router.Listener{{Name: "l", Tables: []*router.RouteTable{{Name: "http.80", VirtualHosts: []*router.VirtualHost{host}}}}}}
	o := p.options()
	n := uint64(0)
	o.Admin.Clusters = func() []admin.Cluster {
		n++
		c := admin.Cluster{Name: "outbound|80||crowd"}
		for i := range 1000 {
			c.Endpoints = append(c.Endpoints, admin.Endpoint{Address: fmt.Sprintf("10.0.%d.%d:80", i/250, i%250), Healthy: true, Requests: n})
		}
		return []admin.Cluster{c}
	}
	counts := Counts{Requests: 1, Buckets: make([]uint64, 40)}
	o.Edges = func() ([]Edge, []float64) {
		list := make([]Edge, 400)
		for i := range list {
			counts.Buckets[3] = n
			list[i] = Edge{Service: fmt.Sprint("service-", i), Counts: counts}
		}
		return list, nil
	}
	o.Routes = func() ([]RouteTraffic, []float64) {
		list := make([]RouteTraffic, 1000)
		for i := range list {
			list[i] = RouteTraffic{ID: RouteID("l", host.Name, host.Routes[i].Name, router.Origin{}), Counts: counts}
		}
		return list, nil
	}
	s := &source{o: o.withDefaults()}
	var latest *snapshot
	var event []byte
	number := uint64(0)
	for b.Loop() {
		number++
		latest = latest.follow(number, time.UnixMilli(int64(number)), []answer{s.answer()})
		event = latest.appendEvent(event[:0], number-1)
	}
	b.SetBytes(int64(len(event)))
}
