package apiserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// applicationPort is where every pod listens, and the port of every Service.
const applicationPort = 9080

// application is a Service whose pods are servers of the test.
type application struct {
	server          *server
	namespace, name string
	pods            []*pod
}

// pod is a server at an address of its own, and the name of the Pod that stands for it.
type pod struct {
	name, version, address string
	http                   *http.Server
	// requests counts those that came; last is when the latest did.
	requests atomic.Int64
	last     atomic.Int64
}

// deploy makes a Service with a pod of each version, and publishes them all as ready.
func (s *server) deploy(t testing.TB, namespace, name string, versions ...string) *application {
	t.Helper()
	a := &application{server: s, namespace: namespace, name: name}
	_, err := s.admin.CoreV1().Services(namespace).Create(context.Background(), &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: core.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []core.ServicePort{{Name: "http", Port: applicationPort}},
		},
	}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		a.start(t, v)
	}
	a.publish(t, ready(a.pods...)...)
	return a
}

// start runs one more pod, which is in no EndpointSlice yet.
func (a *application) start(t testing.TB, version string) *pod {
	t.Helper()
	p := &pod{name: fmt.Sprintf("%s-%s-%d", a.name, version, len(a.pods)), version: version, address: nextAddress()}
	_, err := a.server.admin.CoreV1().Pods(a.namespace).Create(context.Background(), &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: p.name, Labels: map[string]string{"app": a.name, "version": version}},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "main", Image: "test"}}},
	}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", p.address, applicationPort))
	if err != nil {
		t.Fatal(err)
	}
	p.http = &http.Server{Handler: p}
	go p.http.Serve(l)
	t.Cleanup(func() { p.http.Close() })
	a.pods = append(a.pods, p)
	return p
}

// ServeHTTP answers with the pod's name.
func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.last.Store(time.Now().UnixNano())
	p.requests.Add(1)
	w.Header().Set("x-pod", p.name)
	fmt.Fprintln(w, p.name)
}

// ready returns endpoints that take requests.
func ready(pods ...*pod) []discovery.Endpoint {
	var list []discovery.Endpoint
	for _, p := range pods {
		list = append(list, p.endpoint(true, false))
	}
	return list
}

// endpoint returns how an EndpointSlice lists the pod.
func (p *pod) endpoint(ready, terminating bool) discovery.Endpoint {
	serving := ready || terminating
	return discovery.Endpoint{
		Addresses:  []string{p.address},
		Conditions: discovery.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef:  &core.ObjectReference{Kind: "Pod", Name: p.name},
	}
}

// publish writes the Service's EndpointSlice, and returns when the API server had it.
func (a *application) publish(t testing.TB, endpoints ...discovery.Endpoint) time.Time {
	t.Helper()
	port, name, protocol := int32(applicationPort), "http", core.ProtocolTCP
	slice := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: a.name + "-1", Labels: map[string]string{discovery.LabelServiceName: a.name}},
		AddressType: discovery.AddressTypeIPv4,
		Ports:       []discovery.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
		Endpoints:   endpoints,
	}
	for i := range slice.Endpoints {
		if ref := slice.Endpoints[i].TargetRef; ref != nil {
			ref.Namespace = a.namespace
		}
	}
	slices := a.server.admin.DiscoveryV1().EndpointSlices(a.namespace)
	_, err := slices.Update(context.Background(), slice, meta.UpdateOptions{})
	if errors.IsNotFound(err) {
		_, err = slices.Create(context.Background(), slice, meta.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

var addresses atomic.Int32

// nextAddress returns an address of podRange that nobody has.
func nextAddress() string {
	n := addresses.Add(1)
	return fmt.Sprintf("10.244.%d.%d", n/250, n%250+1)
}
