package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func object(apiVersion, kind, namespace, name, release string, spec map[string]any) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	if release != "" {
		metadata["labels"] = map[string]any{ManagedByLabel: FieldManager, InstanceLabel: release}
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec}
}

func service(name, release string, port int) map[string]any {
	return object("v1", "Service", "edge", name, release, map[string]any{"ports": []any{map[string]any{"port": port}}})
}

func definition(name string) map[string]any {
	return object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name, "", map[string]any{
		"versions": []any{map[string]any{"name": "v1beta1"}, map[string]any{"name": "v1", "storage": true}},
	})
}

const (
	servicePath    = "/api/v1/namespaces/edge/services/gw"
	definitionPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io"
)

// said takes the lines that were said.
func said(out interface {
	String() string
	Reset()
}) string {
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	out.Reset()
	return strings.Join(lines, ", ")
}

// TestApply: each object gets a line that says what came of it, and a second time nothing does.
func TestApply(t *testing.T) {
	t.Parallel()
	f, c, out := newFake(t)
	all := []map[string]any{Namespace("edge"), service("gw", "edge.gw", 80)}
	for _, step := range []struct {
		cluster *Cluster
		port    int
		want    string
	}{
		{f.dry(t, c), 80, "would be created Namespace edge, would be created Service edge/gw"},
		{c, 80, "created Namespace edge, created Service edge/gw"},
		{c, 80, "unchanged Namespace edge, unchanged Service edge/gw"},
		{f.dry(t, c), 81, "unchanged Namespace edge, would be configured Service edge/gw"},
		{c, 81, "unchanged Namespace edge, configured Service edge/gw"},
	} {
		all[1] = service("gw", "edge.gw", step.port)
		if err := step.cluster.Apply(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if got := said(out); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
	if len(f.changes) != 6 {
		t.Errorf("a dry run changed something: %q", f.changes)
	}
	// What others have written to it stays, and makes no difference.
	f.set(servicePath, map[string]any{"metadata": map[string]any{"resourceVersion": "7", "generation": 3}, "status": map[string]any{"loadBalancer": map[string]any{}}})
	if err := c.Apply(t.Context(), all); err != nil || said(out) != "unchanged Namespace edge, unchanged Service edge/gw" {
		t.Errorf("%v", err)
	}
	if exists, err := c.NamespaceExists(t.Context(), "edge"); !exists || err != nil {
		t.Error(exists, err)
	}
	if exists, err := c.NamespaceExists(t.Context(), "shop"); exists || err != nil {
		t.Error(exists, err)
	}
}

// TestApplyLeavesOthersDefinitions: those that another program has installed stay as they are.
func TestApplyLeavesOthersDefinitions(t *testing.T) {
	t.Parallel()
	f, c, out := newFake(t)
	ours := []map[string]any{definition("gateways.networking.istio.io")}
	theirs := definition("gateways.networking.istio.io")
	theirs["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"manager": "helm"}}
	f.set(definitionPath, theirs)
	if err := c.Apply(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if got := said(out); got != "left as it is CustomResourceDefinition gateways.networking.istio.io" || len(f.changes) != 0 {
		t.Errorf("%q, %q", got, f.changes)
	}
}

// TestApplyRefuses: what belongs to somebody else is told of before anything is changed.
func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	for by, want := range map[string]string{
		FieldManager: "it belongs to the gateway edge.other: choose another name for this one",
		"Helm":       "it was installed by Helm, as edge.other: change it with that",
	} {
		f, c, _ := newFake(t)
		had := service("gw", "edge.other", 80)
		had["metadata"].(map[string]any)["labels"].(map[string]any)[ManagedByLabel] = by
		f.set(servicePath, had)
		err := c.Apply(t.Context(), []map[string]any{Namespace("edge"), service("gw", "edge.gw", 80)})
		if err == nil || !strings.Contains(err.Error(), "Service edge/gw: "+want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if len(f.changes) != 0 {
			t.Errorf("%q were changed", f.changes)
		}
	}
	_, c, _ := newFake(t)
	if err := c.Apply(t.Context(), []map[string]any{object("v1", "ConfigMap", "edge", "x", "", nil)}); err == nil || !strings.Contains(err.Error(), "it is not known how to install objects of") {
		t.Errorf("got %v", err)
	}
}

// TestFailures: an error names the object and the way out.
func TestFailures(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		403: "get Service edge/gw: it is Forbidden; `kubectl auth can-i get service` tells",
		401: "does not know who you are: it is Unauthorized; renew the credentials",
		500: "get Service edge/gw",
	} {
		f, c, _ := newFake(t)
		f.refuse[servicePath] = status
		if err := c.Apply(t.Context(), []map[string]any{service("gw", "edge.gw", 80)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: got %v, want %q", status, err, want)
		}
	}
	f, _, _ := newFake(t)
	c := f.connect(t, "http://127.0.0.1:1", Options{})
	if _, err := c.NamespaceExists(t.Context(), "edge"); err == nil || !strings.Contains(err.Error(), "the API server at http://127.0.0.1:1 does not answer") || !strings.Contains(err.Error(), "kubectl cluster-info") {
		t.Errorf("got %v", err)
	}
}

// TestWait: every change of a workload's state is a line, up to its end.
func TestWait(t *testing.T) {
	t.Parallel()
	const path = "/apis/apps/v1/namespaces/edge/"
	status := func(pairs ...any) map[string]any {
		s := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			s[pairs[i].(string)] = pairs[i+1]
		}
		return map[string]any{"status": s}
	}
	for _, test := range []struct {
		object map[string]any
		path   string
		steps  []map[string]any
		want   string
	}{
		{
			object("apps/v1", "Deployment", "edge", "gw", "edge.gw", map[string]any{"replicas": 2}), path + "deployments/gw",
			[]map[string]any{
				{"metadata": map[string]any{"generation": 2}}, status("observedGeneration", 2, "replicas", 2, "updatedReplicas", 1, "availableReplicas", 1),
				status("updatedReplicas", 2, "availableReplicas", 2, "replicas", 3), status("replicas", 2),
			},
			"waiting Deployment edge/gw: the change has not been seen yet, waiting Deployment edge/gw: 1 of 2 pods are ready, 1 are new, " +
				"waiting Deployment edge/gw: 1 old pods are still there, ready Deployment edge/gw",
		},
		{
			object("apps/v1", "DaemonSet", "edge", "gw", "edge.gw", nil), path + "daemonsets/gw",
			[]map[string]any{
				{"metadata": map[string]any{"generation": 1}}, status("observedGeneration", 1, "desiredNumberScheduled", 3, "updatedNumberScheduled", 3, "numberAvailable", 1), status("numberAvailable", 3),
			},
			"waiting DaemonSet edge/gw: the change has not been seen yet, waiting DaemonSet edge/gw: 1 of 3 nodes have a pod that is ready, 3 a new one, ready DaemonSet edge/gw",
		},
		{
			definition("gateways.networking.istio.io"), definitionPath,
			[]map[string]any{{}, status("conditions", []any{map[string]any{"type": "Established", "status": "True"}})},
			"waiting CustomResourceDefinition gateways.networking.istio.io: it is not served yet, ready CustomResourceDefinition gateways.networking.istio.io",
		},
		{service("gw", "edge.gw", 80), servicePath, nil, ""},
	} {
		f, c, out := newFake(t)
		f.set(test.path, test.object)
		n := 0
		f.got = func(string) {
			if n < len(test.steps) {
				merge(f.objects[test.path], test.steps[n])
				n++
			}
		}
		if err := c.Wait(t.Context(), []map[string]any{test.object}); err != nil {
			t.Errorf("%s: %v", test.path, err)
		}
		if got := said(out); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.path, got, test.want)
		}
	}
}

// TestWaitEnds: where patience ends the error says how far it is; a dry run has nothing to wait for.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	f, c, _ := newFake(t)
	c.pause = 40 * time.Millisecond // the client lets no more through
	d := object("apps/v1", "Deployment", "edge", "gw", "edge.gw", nil)
	f.set("/apis/apps/v1/namespaces/edge/deployments/gw", d)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := c.Wait(ctx, []map[string]any{d}); err == nil || !strings.Contains(err.Error(), "Deployment edge/gw is not ready: 0 of 1 pods are ready, 0 are new; `kubectl -n edge describe pods`") {
		t.Errorf("got %v", err)
	}
	if err := f.dry(t, c).Wait(t.Context(), []map[string]any{d}); err != nil {
		t.Error(err)
	}
}

// TestRemove: a release's objects are found by their labels, in an order in which they can go, and
// those of others stay.
func TestRemove(t *testing.T) {
	t.Parallel()
	f, c, out := newFake(t)
	f.missing["/apis/monitoring.coreos.com/v1/servicemonitors"] = true
	put := func(path string, o map[string]any) {
		f.set(path, o)
	}
	put(servicePath, service("gw", "edge.gw", 80))
	put("/api/v1/namespaces/edge/services/other", service("other", "edge.other", 80))
	helms := service("helm", "edge.gw", 80)
	helms["metadata"].(map[string]any)["labels"].(map[string]any)[ManagedByLabel] = "Helm"
	put("/api/v1/namespaces/edge/services/helm", helms)
	put("/apis/apps/v1/namespaces/edge/deployments/gw", object("apps/v1", "Deployment", "edge", "gw", "edge.gw", nil))
	put("/apis/rbac.authorization.k8s.io/v1/clusterroles/gw", object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "gw", "edge.gw", nil))
	put("/api/v1/namespaces/edge", Namespace("edge"))

	if releases, err := c.Releases(t.Context()); err != nil || !slices.Equal(releases, []string{"edge.gw"}) {
		t.Errorf("releases %q, %v", releases, err)
	}
	installed, err := c.Installed(t.Context(), "edge.gw")
	if err != nil {
		t.Fatal(err)
	}
	if surplus := Surplus(installed, []map[string]any{service("gw", "edge.gw", 99)}); len(surplus) != 2 {
		t.Errorf("surplus: %v", names(surplus))
	}
	const order = "Deployment edge/gw, Service edge/gw, ClusterRole gw"
	if got := strings.Join(names(installed), ", "); got != order {
		t.Errorf("installed: %s", got)
	}
	if err := f.dry(t, c).Remove(t.Context(), installed); err != nil || !strings.HasPrefix(said(out), "would be removed Deployment edge/gw") || len(f.changes) != 0 {
		t.Errorf("a dry run: %v, %q", err, f.changes)
	}
	for range 2 { // the second time they are gone
		if err := c.Remove(t.Context(), installed); err != nil {
			t.Error(err)
		}
		if got := said(out); got != "removed "+strings.ReplaceAll(order, ", ", ", removed ") {
			t.Errorf("got %s", got)
		}
	}
	if len(f.objects) != 3 {
		t.Errorf("%d objects are left", len(f.objects))
	}
	f.refuse["/apis/apps/v1/deployments"] = 403
	if _, err := c.Installed(t.Context(), "edge.gw"); err == nil || !strings.Contains(err.Error(), "list deployments with") {
		t.Errorf("got %v", err)
	}
}

func names(list []*unstructured.Unstructured) (out []string) {
	for _, o := range list {
		out = append(out, describe(o))
	}
	return out
}

// TestDefinitions: of the definitions that are there it is told how many objects go with them.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	f, c, _ := newFake(t)
	f.set(definitionPath, definition("gateways.networking.istio.io"))
	for n := range 3 {
		f.set(fmt.Sprintf("/apis/networking.istio.io/v1/namespaces/shop/gateways/g%d", n), object("networking.istio.io/v1", "Gateway", "shop", fmt.Sprint("g", n), "", nil))
	}
	list, objects, err := c.Definitions(t.Context(), []map[string]any{definition("gateways.networking.istio.io"), definition("sidecars.networking.istio.io")})
	if err != nil || len(list) != 1 || objects != 3 {
		t.Errorf("%v, %d objects, %v", names(list), objects, err)
	}
	unstored := definition("gateways.networking.istio.io")
	unstored["spec"] = map[string]any{}
	if _, _, err := c.Definitions(t.Context(), []map[string]any{unstored}); err == nil || !strings.Contains(err.Error(), "no version that is stored") {
		t.Errorf("got %v", err)
	}
}
