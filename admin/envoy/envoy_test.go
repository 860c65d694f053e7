package envoy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// What Envoy's own types make of the dump is judged in test/observability/envoydump. Here are
// those things that need no judge.

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNothingYet: there is a whole dump before there is a configuration.
func TestNothingYet(t *testing.T) {
	t.Parallel()
	dump := text(t, ConfigDump(State{}))
	for _, part := range []string{"Bootstrap", "Clusters", "Endpoints", "Listeners", "ScopedRoutes", "Routes", "Secrets"} {
		if !strings.Contains(dump, `"type.googleapis.com/envoy.admin.v3.`+part+`ConfigDump"`) {
			t.Errorf("no %s in %s", part, dump)
		}
	}
	if got := text(t, Clusters(nil, nil)); got != `{"cluster_statuses":[]}` {
		t.Errorf("clusters %s", got)
	}
}

// TestKeysAreNotTold whatever they are.
func TestKeysAreNotTold(t *testing.T) {
	t.Parallel()
	dump := text(t, ConfigDump(State{Spec: &router.Spec{Secrets: []*router.Secret{{Name: "a/b", Certificate: []byte("C"), Key: router.Sensitive("geheim")}}}}))
	if strings.Contains(dump, "geheim") || strings.Contains(dump, "Z2VoZWlt") || !strings.Contains(dump, redacted) {
		t.Errorf("%s", dump)
	}
}

func TestConfigPath(t *testing.T) {
	t.Parallel()
	for want, origin := range map[string]router.Origin{
		"/apis/networking.istio.io/v1/namespaces/shop/virtual-service/cart": {Kind: "VirtualService", Namespace: "shop", Name: "cart", Field: "http[0]"},
		"/apis/networking.k8s.io/v1/namespaces/shop/ingress/cart":           {Kind: "Ingress", Namespace: "shop", Name: "cart"},
		"/apis/v1/namespaces/shop/service/cart":                             {Kind: "Service", Namespace: "shop", Name: "cart"},
	} {
		if got := configPath(origin); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]string{
		"10.0.0.1:80":      `{"socket_address":{"address":"10.0.0.1","port_value":80}}`,
		"[::1]:443/udp":    `{"socket_address":{"address":"::1","port_value":443,"protocol":"UDP"}}`,
		"unix:///run/sock": `{"pipe":{"path":"/run/sock"}}`,
		"name":             `{"socket_address":{"address":"name","port_value":0}}`,
	} {
		if got := text(t, address(of)); got != want {
			t.Errorf("%s: %s, want %s", of, got, want)
		}
	}
	if got := duration(1500 * time.Microsecond); got != "0.0015s" {
		t.Errorf("duration %s", got)
	}
}
