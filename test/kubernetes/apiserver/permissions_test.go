package apiserver

import (
	"fmt"
	"testing"
	"time"
)

// TestMissingPermission: the gateway says exactly what it may not do, and what mends it.
func TestMissingPermission(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	token := s.createAccount(t, ns)
	g := s.startGateway(t, ns, s.kubeconfig(t, token))
	await(t, "the log names what is forbidden", func() error {
		return mentions(g.text(), "system:serviceaccount:"+ns+":"+account, "virtualservices", "networking.istio.io", "list")
	})
	await(t, "there is a command that mends it", func() error { return mentions(g.text(), "kubectl") })
	// With the right to, everything comes without a restart.
	s.deploy(t, ns, "web", "v1")
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	s.apply(t, rbac(t, ns))
	g.awaitPod(t, "web.example.com", "/", "web-v1")
}

// TestNoCluster: wrong ways to a cluster end the gateway at once, or are told and tried
// again where they may come right.
func TestNoCluster(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	token := s.createAccount(t, ns)
	good := s.kubeconfig(t, token)
	for name, c := range map[string]struct {
		kubeconfig string
		flags      []string
		want       []string
	}{
		"no such kubeconfig": {"/nowhere/kubeconfig", nil, []string{"/nowhere/kubeconfig", "--kubeconfig"}},
		"no such context":    {good, []string{"--context=elsewhere"}, []string{"elsewhere", "kubectl config get-contexts"}},
		"nonsense":           {writeFile(t, "kubeconfig", "clusters: {"), nil, []string{"kubeconfig"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := s.startGateway(t, ns, c.kubeconfig, c.flags...)
			select {
			case <-g.ended:
			case <-time.After(patience):
				t.Fatalf("the gateway goes on:\n%s", g.text())
			}
			if err := mentions(g.text(), c.want...); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		road := newRoad(t, s)
		road.close()
		g := s.startGateway(t, ns, s.kubeconfigAt(t, road.url(), token))
		await(t, "the log says so", func() error { return mentions(g.text(), road.url()) })
		if err := g.alive(); err != nil {
			t.Error(err)
		}
		await(t, "without configuration it answers 503", func() error {
			status, _, err := get("http://" + g.address + ":15021/healthz/ready")
			if err == nil && status != 503 {
				err = fmt.Errorf("it answers %d", status)
			}
			return err
		})
		s.apply(t, rbac(t, ns))
		road.open(t)
		g.awaitReady(t)
	})
	t.Run("not believed", func(t *testing.T) {
		g := s.startGateway(t, ns, s.kubeconfig(t, "a token of nobody"))
		await(t, "the log says so", func() error { return mentions(g.text(), "401") })
	})
}
