package identity

import (
	"encoding/base64"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegate/sluice/router"
)

var reviews = Identity{
	Workload: "reviews-v1", Namespace: "default", Labels: map[string]string{"app": "reviews", "version": "v1", "pod-template-hash": "x"},
	ServiceAccount: "bookinfo-reviews", TrustDomain: "cluster.local", Cluster: "Kubernetes", Mesh: "mesh1",
}

func TestOwn(t *testing.T) {
	t.Parallel()
	want := Workload{
		Name: "reviews-v1", Namespace: "default", App: "reviews", Version: "v1",
		CanonicalService: "reviews", CanonicalRevision: "v1", Cluster: "Kubernetes",
		Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
	}
	if got := reviews.Own(); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// The canonical names come from labels in Istio's order.
func TestCanonicalNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		labels            map[string]string
		service, revision string
	}{
		{nil, "w", ""},
		{map[string]string{"app": "a", "version": "1"}, "a", "1"},
		{map[string]string{"app": "a", "app.kubernetes.io/name": "k", "app.kubernetes.io/version": "2", "version": "1"}, "k", "2"},
		{map[string]string{"app.kubernetes.io/name": "k", "service.istio.io/canonical-name": "i", "service.istio.io/canonical-revision": "3"}, "i", "3"},
	} {
		w := Identity{Workload: "w", Labels: c.labels}.Own()
		if w.CanonicalService != c.service || w.CanonicalRevision != c.revision {
			t.Errorf("%v: %q, %q", c.labels, w.CanonicalService, w.CanonicalRevision)
		}
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		endpoint *router.Endpoint
		want     Workload
	}{
		"nothing known": {&router.Endpoint{Address: "10.0.0.1:80"}, Workload{}},
		"nil":           {nil, Workload{}},
		"a pod": {&router.Endpoint{Workload: "shop/cart-v2", ServiceAccount: "cart", Labels: map[string]string{"app": "cart"}},
			Workload{Name: "cart-v2", Namespace: "shop", App: "cart", CanonicalService: "cart", Cluster: "Kubernetes", Principal: "spiffe://cluster.local/ns/shop/sa/cart"}},
		"labels alone": {&router.Endpoint{Labels: map[string]string{"app": "cart", "version": "v3"}},
			Workload{Name: "cart-v3", Namespace: "ns", App: "cart", Version: "v3", CanonicalService: "cart", CanonicalRevision: "v3", Cluster: "Kubernetes"}},
		"an account of another namespace": {&router.Endpoint{Workload: "shop/cart", ServiceAccount: "other/cart"},
			Workload{Name: "cart", Namespace: "shop", CanonicalService: "cart", Cluster: "Kubernetes", Principal: "spiffe://cluster.local/ns/other/sa/cart"}},
		"a whole principal": {&router.Endpoint{Workload: "shop/cart", ServiceAccount: "spiffe://td/ns/x/sa/y"},
			Workload{Name: "cart", Namespace: "shop", CanonicalService: "cart", Cluster: "Kubernetes", Principal: "spiffe://td/ns/x/sa/y"}},
	} {
		got, ok := reviews.Endpoint(c.endpoint, "ns")
		if got != c.want || ok != (c.want != Workload{}) {
			t.Errorf("%s: %+v, %t, want %+v", name, got, ok, c.want)
		}
	}
}

func TestPrincipalNamespace(t *testing.T) {
	t.Parallel()
	for principal, want := range map[string]string{
		"spiffe://cluster.local/ns/shop/sa/cart": "shop", "spiffe://td/ns/x": "x", "spiffe://example.com/cart": "", "": "",
	} {
		if got := PrincipalNamespace(principal); got != want {
			t.Errorf("%q: %q, want %q", principal, got, want)
		}
	}
}

// TestPeer: what is encoded is decoded, but for what a peer is not believed.
func TestPeer(t *testing.T) {
	t.Parallel()
	got, err := DecodePeer(reviews.EncodePeer())
	want := reviews.Own()
	want.Principal = ""
	if err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if a, b := reviews.EncodePeer(), reviews.EncodePeer(); a != b {
		t.Error("it differs from time to time")
	}
}

// TestPeerOfIstio: the members are those of Istio's proxies.
func TestPeerOfIstio(t *testing.T) {
	t.Parallel()
	b, err := base64.StdEncoding.DecodeString(reviews.EncodePeer())
	if err != nil {
		t.Fatal(err)
	}
	var s structpb.Struct
	if err := proto.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"NAME": "reviews-v1", "NAMESPACE": "default", "WORKLOAD_NAME": "reviews-v1", "CLUSTER_ID": "Kubernetes", "MESH_ID": "mesh1",
		"OWNER": "kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1",
	} {
		if got := s.Fields[name].GetStringValue(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	labels := s.Fields["LABELS"].GetStructValue().GetFields()
	if len(labels) != 4 || labels["service.istio.io/canonical-name"].GetStringValue() != "reviews" {
		t.Errorf("labels %v", labels)
	}
}

func encode(t testing.TB, fields map[string]any) string {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// What a peer says becomes labels, so what no object can be called is not taken.
func TestHostilePeers(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"no base64": "!", "no message": base64.StdEncoding.EncodeToString([]byte("\xff\xff\xff")), "empty": "",
		"nothing known": encode(t, map[string]any{"X": "y"}),
		"too long":      strings.Repeat("A", MaxPeer+4),
		"no names": encode(t, map[string]any{
			"WORKLOAD_NAME": "a\nb", "NAMESPACE": strings.Repeat("n", 254), "CLUSTER_ID": `a"b`, "LABELS": map[string]any{"app": "é", "version": 7},
		}),
		"labels that are none": encode(t, map[string]any{"LABELS": "app", "NAME": map[string]any{}}),
	} {
		if w, err := DecodePeer(value); err == nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

func FuzzDecodePeer(f *testing.F) {
	f.Add(reviews.EncodePeer())
	f.Add("")
	f.Add(encode(f, map[string]any{"WORKLOAD_NAME": "a\x00b", "LABELS": map[string]any{"app": "x"}}))
	f.Fuzz(func(t *testing.T, value string) {
		w, err := DecodePeer(value)
		if err != nil {
			return
		}
		for _, s := range []string{w.Name, w.Namespace, w.App, w.Version, w.CanonicalService, w.CanonicalRevision, w.Cluster} {
			if len(s) > maxName || strings.ContainsAny(s, "\n\"\\ ") {
				t.Errorf("a name %q", s)
			}
		}
	})
}
