package apiserver

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestAPIServerRestarts kills the API server under traffic, starts it again over the same
// etcd, and applies what is new.
func TestAPIServerRestarts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	ns := s.namespace(t)
	app := s.deploy(t, ns, "web", "v1")
	g := s.gateway(t, ns)
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	g.awaitPod(t, "web.example.com", "/", "web-v1")

	load := g.load(4, "web.example.com", "/")
	s.apiserver.kill()
	await(t, "traffic goes on", func() error { return atLeast(app.pods[0].requests.Load(), 500) })
	if err := s.startAPI(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	app.publish(t, ready(app.pods[0], app.start(t, "v2"))...)
	g.awaitPod(t, "web.example.com", "/", "web-v2")
	t.Logf("what changed is in force %v after the API server was back", time.Since(back))
	load.finish(t, 500)
}

// TestWatchesExpire changes objects while the gateway cannot see it, and then removes the
// history of those changes: the gateway has to read everything anew, and finds what was
// deleted too.
func TestWatchesExpire(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "old", "v1")
	s.deploy(t, ns, "new", "v1")
	road := newRoad(t, s)
	g := s.startGateway(t, ns, s.kubeconfigAt(t, road.url(), s.gatewayToken(t, ns)))
	g.awaitReady(t)
	s.apply(t, edge(ns, "*", "[{match: [{uri: {prefix: /old}}], route: [{destination: {host: old}}]}]"))
	g.awaitPod(t, "web.example.com", "/old", "old-v1")

	load := g.load(2, "web.example.com", "/old")
	road.close()
	s.apply(t, edge(ns, "*", "[{match: [{uri: {prefix: /old}}], route: [{destination: {host: old}}]}, {match: [{uri: {prefix: /new}}], route: [{destination: {host: new}}]}]"))
	s.kubectl(t, "", "delete", "service", "new", "-n", ns)
	s.forget(t)
	s.apiserver.kill()
	if err := s.startAPI(); err != nil {
		t.Fatal(err)
	}
	road.open(t)
	g.awaitStatus(t, "web.example.com", "/new", 503)
	load.finish(t, 100)

	lists := 0
	for _, e := range s.audit(t, ns) {
		if e.Verb == "list" && e.ObjectRef.Resource == "virtualservices" {
			lists++
		}
	}
	if lists < 2 {
		t.Errorf("the gateway has listed virtualservices %d times: its watch did not expire", lists)
	}
}

// forget removes all history from etcd: no watch can begin in the past.
func (s *server) forget(t *testing.T) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.etcdURL}, DialTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, err := client.Get(ctx, "/registry", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, got.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
}
