package kube

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/config"
)

func addresses(list ...string) (all []ingressAddress) {
	for _, a := range list {
		all = append(all, addressOf(a))
	}
	return all
}

// TestIngressAddresses: where the gateway is reached, whatever its Service is like.
func TestIngressAddresses(t *testing.T) {
	t.Parallel()
	const pods = "/api/v1/namespaces/edge/pods/"
	for name, c := range map[string]struct {
		options  StatusOptions
		services []string
		want     []ingressAddress
	}{
		"none":          {},
		"given":         {options: StatusOptions{Addresses: []string{"192.0.2.1", "edge.example.com", "2001:db8::1"}}, want: addresses("192.0.2.1", "edge.example.com", "2001:db8::1")},
		"load balancer": {services: []string{`"type":"LoadBalancer","clusterIP":"10.0.0.1","selector":{"istio":"ingressgateway"}},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"},{"hostname":"lb.example.com"}]}`}, want: addresses("lb.example.com", "192.0.2.7")},
		"pending":       {services: []string{`"type":"LoadBalancer","clusterIP":"10.0.0.1","selector":{"istio":"ingressgateway"}`}},
		"external":      {services: []string{`"type":"ClusterIP","clusterIP":"10.0.0.1","externalIPs":["192.0.2.9"],"selector":{"istio":"ingressgateway"}`}, want: addresses("192.0.2.9")},
		"cluster IP":    {services: []string{`"type":"ClusterIP","clusterIP":"10.0.0.1","selector":{"istio":"ingressgateway"}`}, want: addresses("10.0.0.1")},
		"node port":     {services: []string{`"type":"NodePort","clusterIP":"10.0.0.1","selector":{"istio":"ingressgateway"}`}, want: addresses("192.0.2.21", "192.0.2.22")},
		"another's":     {services: []string{`"type":"ClusterIP","clusterIP":"10.0.0.1","selector":{"istio":"egressgateway"}`, `"type":"ClusterIP","clusterIP":"10.0.0.2"`}},
		"the best of several": {services: []string{`"type":"ClusterIP","clusterIP":"None","selector":{"istio":"ingressgateway"}`,
			`"type":"LoadBalancer","selector":{"istio":"ingressgateway"}},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"}]}`}, want: addresses("192.0.2.7")},
		"named":         {options: StatusOptions{Service: "edge/svc-0"}, services: []string{`"type":"ExternalName","externalName":"edge.example.com"`}, want: addresses("edge.example.com")},
		"named in vain": {options: StatusOptions{Service: "edge/svc-7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newObjectAPI(t)
				for i, s := range c.services {
					n := string(rune('0' + i))
					a.set("/api/v1/namespaces/edge/services/svc-"+n, `{"metadata":{"name":"svc-`+n+`","namespace":"edge"},"spec":{`+s+`}}`)
				}
				for _, n := range []string{"22", "21", "22"} {
					a.set(pods+"gw-"+n, `{"metadata":{"name":"gw"},"status":{"phase":"Running","hostIP":"192.0.2.`+n+`"}}`)
				}
				a.set(pods+"gw-x", `{"metadata":{"name":"gw"},"status":{"phase":"Pending","hostIP":"192.0.2.23"}}`)
				c.options.Labels, c.options.Holder = map[string]string{"istio": "ingressgateway", "app": "x"}, "gw-1"
				w, _ := newWriting(t, a, c.options)
				key := w.bring("Ingress", "shop-ingress", 1)
				w.Served([]config.Key{key})
				w.begin(t)
				pause(10 * time.Second)
				got := readAddresses(a.statusOf("/apis/networking.k8s.io/v1/namespaces/shop/ingresses/shop-ingress"))
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestIngressStatusFollows: Ingresses get addresses when they are served and these are known, lose them
// when they are not served any more, and others' are left alone.
func TestIngressStatusFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1", Labels: map[string]string{"istio": "ingressgateway"}})
		path := "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/"
		service := func(ip string) {
			a.set("/api/v1/namespaces/edge/services/the-gateway", `{"metadata":{"name":"the-gateway"},"spec":{"type":"LoadBalancer","selector":{"istio":"ingressgateway"}},"status":{"loadBalancer":{"ingress":[{"ip":"`+ip+`"}]}}}`)
		}
		a.set(path+"their-ingress", `{"metadata":{},"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"}]}}}`)
		ours := w.bring("Ingress", "our-ingress", 1)
		w.bring("Ingress", "their-ingress", 1)
		is := func(what, name string, want ...string) {
			t.Helper()
			if got := readAddresses(a.statusOf(path + name)); !slices.Equal(got, addresses(want...)) {
				t.Errorf("%s: %s has %v, want %v", what, name, got, want)
			}
		}
		w.Served(nil)
		w.begin(t)
		pause(time.Minute)
		is("nothing is served", "our-ingress")
		w.Served([]config.Key{ours})
		pause(time.Minute)
		is("no address", "our-ingress")
		service("192.0.2.7")
		pause(time.Minute)
		is("served", "our-ingress", "192.0.2.7")
		writes := a.count("PATCH", "")
		pause(2 * time.Hour)
		if n := a.count("PATCH", ""); n != writes || n != 1 {
			t.Errorf("%d writes, then %d", writes, n-writes)
		}
		service("192.0.2.8")
		pause(time.Minute)
		is("another address", "our-ingress", "192.0.2.8")
		w.Served(nil)
		pause(time.Minute)
		is("not served any more", "our-ingress")
		is("never served", "their-ingress", "198.51.100.1")
	})
}
