package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
)

// TestKubeFlags: what makes no sense is refused with the way out, by the exit status that says
// whose fault it is.
func TestKubeFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "--config DIR or --kube"},
		{"--kube --config x", 2, "kubectl apply"},
		{"--config x --snapshot y", 2, "--snapshot has no effect without --kube"},
		{"--kube --watch-namespaces a --discovery-selector b=c", 2, "exclude each other"},
		{"--kube --kubeconfig /nowhere/config", 1, "/nowhere/config"},
		{"--kube --kubeconfig /nowhere/config --discovery-selector a==,=b", 1, "selector"},
	} {
		var out bytes.Buffer
		if got := start.Execute(newCommand(), strings.Fields(c.args), &out, &out); got != c.status || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: status %d, want %d with %q: %s", c.args, got, c.status, c.says, &out)
		}
	}
}

// TestWants: what objects name is wanted, and not any more when they are gone.
func TestWants(t *testing.T) {
	t.Parallel()
	object := func(kind, group, name, spec string) *config.Object {
		return &config.Object{Key: config.Key{Group: group, Kind: kind, Namespace: "shop", Name: name}, Version: "v1",
			Source: config.Plain(`{"apiVersion":"` + group + `/v1","kind":"` + kind + `","metadata":{"name":"` + name + `","namespace":"shop"},"spec":` + spec + `}`)}
	}
	const networking = "networking.istio.io"
	all := config.Delta{Set: []*config.Object{
		object("Gateway", networking, "ours", `{"selector":{"a":"b"},"servers":[{"port":{"number":443,"name":"https","protocol":"HTTPS"},"hosts":["*"],"tls":{"mode":"MUTUAL","credentialName":"web"}}]}`),
		object("Gateway", networking, "another", `{"selector":{"a":"c"},"servers":[{"port":{"number":443,"name":"https","protocol":"HTTPS"},"hosts":["*"],"tls":{"mode":"SIMPLE","credentialName":"theirs"}}]}`),
		object("DestinationRule", networking, "web", `{"host":"web","trafficPolicy":{"tls":{"mode":"SIMPLE","credentialName":"upstream"}},"subsets":[{"name":"v1","labels":{"version":"v1"}}]}`),
		object("DestinationRule", networking, "plain", `{"host":"plain.blog.svc.cluster.local","subsets":[{"name":"all"}]}`),
		object("ServiceEntry", networking, "vm", `{"hosts":["vm.example.com"],"ports":[{"number":80,"name":"http","protocol":"HTTP"}],"resolution":"STATIC","workloadSelector":{"labels":{"a":"b"}}}`),
		object("VirtualService", networking, "web", `{"hosts":["*"]}`),
		object("Ingress", "networking.k8s.io", "web", `{"ingressClassName":"sluice","tls":[{"hosts":["a.example.com"],"secretName":"ingress"}],"rules":[{"host":"a.example.com","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}`),
	}}
	w := wants(ingress.Options{}, istio.Options{Labels: map[string]string{"a": "b"}, Namespace: "edge"})
	got := w(all)
	var secrets []string
	for _, key := range got.Secrets {
		secrets = append(secrets, key.Namespace+"/"+key.Name)
	}
	if s := strings.Join(secrets, " "); s != "edge/upstream edge/upstream-cacert edge/web edge/web-cacert shop/ingress shop/ingress-cacert" {
		t.Errorf("Secrets %s", s)
	}
	if strings.Join(got.Pods, " ") != "shop" || strings.Join(got.PodLabels, " ") != "shop" {
		t.Errorf("Pods of %q, labels of those of %q", got.Pods, got.PodLabels)
	}
	var gone config.Delta
	for _, o := range all.Set {
		gone.Removed = append(gone.Removed, o.Key)
	}
	if got := w(gone); len(got.Secrets)+len(got.Pods)+len(got.PodLabels) > 0 {
		t.Errorf("of nothing comes %+v", got)
	}
}
