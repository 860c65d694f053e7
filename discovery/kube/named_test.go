package kube

import (
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/sluicegate/sluice/config"
)

// TestNodes: of this proxy's node the labels are read that say where it is, and of all nodes
// once these are wanted.
func TestNodes(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.set("nodes", "n1", `{"labels":{"topology.kubernetes.io/region":"east","topology.kubernetes.io/zone":"a","kubernetes.io/hostname":"n1"}}`, `"status":{"images":[]}`)
	f.set("nodes", "n2", `{"labels":{"topology.kubernetes.io/zone":"b","topology.istio.io/subzone":"s"}}`, "")
	o := bookinfoOptions(f)
	o.Node = "n1"
	var all atomic.Bool
	o.Wants = func(config.Delta) config.Wants { return config.Wants{PodLabels: []string{""}, Nodes: all.Load()} }
	w := follow(t, o)
	one := strings.Replace(bookinfoNames, "Pod edge", "Node n1, Pod edge", 1)
	w.wants(one)
	n := w.object("Node", "", "n1")
	if want := map[string]string{"topology.kubernetes.io/region": "east", "topology.kubernetes.io/zone": "a"}; !maps.Equal(n.Labels, want) || strings.Contains(string(n.Text()), "images") {
		t.Errorf("got %v, %s", n.Labels, n.Text())
	}
	if n := w.told(); n != 1 {
		t.Errorf("it came in %d deltas", n)
	}
	for range 3 {
		all.Store(!all.Load())
		f.set("gateways", "edge/web", `{"labels":{"all":"`+map[bool]string{true: "yes", false: "no"}[all.Load()]+`"}}`, `"spec":{}`)
		// Once they are followed, they are for good.
		w.wants(strings.Replace(one, "Node n1", "Node n1, Node n2", 1))
	}
	f.set("nodes", "n1", `{"labels":{"topology.kubernetes.io/zone":"c"}}`, "")
	w.eventually("the node has moved", func() bool {
		return w.objects[config.Key{Kind: "Node", Name: "n1"}].Labels["topology.kubernetes.io/zone"] == "c"
	})
	f.delete("nodes", "n2", false)
	w.wants(one)
}

// TestMeshConfig: of all ConfigMaps the one with the mesh's configuration is read, of that what
// it says of the mesh, and no right to list is needed.
func TestMeshConfig(t *testing.T) {
	t.Parallel()
	for _, selector := range []string{"", "env=prod"} {
		f := newFake(t)
		f.set("gateways", "edge/web", "", `"spec":{}`)
		f.set("configmaps", "root/istio", "", `"data":{"mesh":"accessLogFile: /dev/stdout","values":"{}"}`)
		f.set("configmaps", "root/other", "", `"data":{"mesh":"x"}`)
		f.set("namespaces", "edge", "", "")
		o := bookinfoOptions(f)
		o.MeshConfig, o.Selector = "root/istio", selector
		w := follow(t, o)
		w.wants("ConfigMap root/istio, Gateway edge/web")
		if text := string(w.object("ConfigMap", "root", "istio").Text()); !strings.Contains(text, `"mesh":"accessLogFile`) || strings.Contains(text, "values") {
			t.Errorf("got %s", text)
		}
		f.set("configmaps", "root/istio", "", `"data":{"mesh":"accessLogFile: /dev/null"}`)
		w.eventually("it has changed", func() bool {
			return strings.Contains(string(w.objects[config.Key{Kind: "ConfigMap", Namespace: "root", Name: "istio"}].Text()), "null")
		})
		f.delete("configmaps", "root/istio", false)
		w.wants("Gateway edge/web")
		f.mu.Lock()
		for path := range f.asked {
			if strings.Contains(path, "configmaps") && !strings.HasSuffix(path, "/root/configmaps/istio") && !strings.HasSuffix(path, "/root/configmaps metadata.name=istio") {
				t.Errorf("%s was asked for", path)
			}
		}
		f.mu.Unlock()
	}
}

// TestDispensable: what a proxy can do without holds up nothing where it is forbidden; what
// follows is told, with the command that mends it.
func TestDispensable(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.set("nodes", "n1", "", "")
	f.set("configmaps", "root/istio", "", `"data":{"mesh":"x"}`)
	f.deny("nodes", true)
	f.deny("configmaps", true)
	o := bookinfoOptions(f)
	o.Node, o.MeshConfig = "n1", "root/istio"
	w := follow(t, o)
	w.wants(bookinfoNames)
	got := w.wantsReasons(ReasonForbidden, ReasonForbidden)
	for i, want := range []string{
		"so that the mesh's configuration has no effect. To allow it: kubectl create role sluice-gateway-read-configmaps -n root --verb=get,list,watch --resource=configmaps --resource-name=istio && ",
		"--locality tells where this proxy is. To allow it: kubectl create clusterrole sluice-gateway-read --verb=get,list,watch --resource=nodes && ",
	} {
		if got[i].Severity != config.Info || !strings.Contains(got[i].Message, want) {
			t.Errorf("got %v", got[i])
		}
	}
	f.deny("nodes", false)
	f.deny("configmaps", false)
	w.wants("ConfigMap root/istio, " + strings.Replace(bookinfoNames, "Pod edge", "Node n1, Pod edge", 1))
	w.wantsReasons()
}

// TestOldSecret: a Secret that is older than all that the API server remembers is watched, and
// not asked for again and again; what happens to it before the watch stands is not missed.
func TestOldSecret(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	f.expire()
	o := bookinfoOptions(f)
	o.Wants = func(config.Delta) config.Wants {
		return config.Wants{PodLabels: []string{""}, Secrets: []config.Key{{Kind: "Secret", Namespace: "edge", Name: "cert"}}}
	}
	w := follow(t, o)
	const path, watch = "/api/v1/namespaces/edge/secrets/cert", "/api/v1/namespaces/edge/secrets metadata.name=cert"
	with := strings.Replace(bookinfoNames, " Service shop", " Secret edge/cert, Service shop", 1)
	w.wants(with)
	f.awaitWatch(watch)
	f.set("secrets", "edge/cert", "", `"data":{"tls.crt":"eg=="}`)
	key := config.Key{Kind: "Secret", Namespace: "edge", Name: "cert"}
	w.eventually("the new certificate", func() bool { return strings.Contains(string(w.objects[key].Text()), "eg==") })
	for range 5 {
		// Nobody tells of what becomes of it while there is no watch.
		f.delete("secrets", "edge/cert", true)
		f.expire()
		w.wants(bookinfoNames)
		f.set("secrets", "edge/cert", "", `"data":{"tls.crt":"eg=="}`)
		w.wants(with)
		f.expire()
		f.awaitWatch(watch)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.asked[path]; n > 40 {
		t.Errorf("it was asked for %d times", n)
	}
}

// TestGoneBeforeWatched: an object that goes between being read and being watched has gone.
func TestGoneBeforeWatched(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("secrets", "edge/cert", "", `"data":{"tls.crt":"eA=="}`)
	c, err := New(f.options())
	must(t, err)
	l := &listerWatcher{api: c.api, resource: secret, version: "v1", namespace: "edge", name: "cert", fields: "metadata.name=cert", told: func(error) {}}
	list, err := l.ListWithContext(t.Context(), metav1.ListOptions{})
	must(t, err)
	f.delete("secrets", "edge/cert", false)
	watching, err := l.WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: list.(*items).ResourceVersion})
	must(t, err)
	defer watching.Stop()
	if e := <-watching.ResultChan(); e.Type != watch.Deleted || e.Object.(*item).Name != "cert" || e.Object.(*item).Namespace != "edge" {
		t.Errorf("got %+v", e)
	}
}
