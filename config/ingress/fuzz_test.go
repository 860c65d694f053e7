package ingress

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/config/istio/validate"
	"github.com/sluicegate/sluice/router"
)

// FuzzAnnotations holds that whatever annotations and paths say, nothing panics, what is made
// of them is valid in Istio's API and can be routed, and nothing is refused without a word.
func FuzzAnnotations(f *testing.F) {
	f.Add("rewrite-target", "/$2", "use-regex", "true", "/a(/|$)(.*)")
	f.Add("affinity", "cookie", "session-cookie-name", "route", "/")
	f.Add("permanent-redirect", "https://example.com/x?y", "permanent-redirect-code", "308", "/x")
	f.Add("canary", "true", "canary-by-header-pattern", "a|b", "/")
	f.Add("enable-cors", "true", "cors-allow-origin", "https://*.example.com, *", "/")
	f.Add("proxy-next-upstream", "error timeout http_502 non_idempotent", "proxy-next-upstream-tries", "2", "/")
	f.Add("proxy-connect-timeout", "1h", "upstream-hash-by", "$http_x", "/")
	f.Add("whitelist-source-range", "10.0.0.0/8, ::1", "denylist-source-range", "x", "/")
	f.Add("server-alias", "a.b, *.c.d", "from-to-www-redirect", "true", "/")
	f.Add("upstream-vhost", "a b\x00", "x-forwarded-prefix", "/\r\n", "/\xff")
	f.Add("auth-tls-secret", "default/ca", "auth-tls-verify-client", "optional", "/")
	f.Add("backend-protocol", "GRPCS", "proxy-ssl-name", "x.y", "/")
	f.Add("app-root", "/x y", "temporal-redirect", "//evil", "/")
	f.Fuzz(func(t *testing.T, name, value, name2, value2, p string) {
		o := &config.Object{Key: config.Key{Group: group, Kind: "Ingress", Namespace: "default", Name: "x"}, Annotations: map[string]string{prefix + name: value, prefix + name2: value2}}
		prefixType, number := "ImplementationSpecific", int32(80)
		to := backend{Service: &service{Name: "svc", Port: port{Number: number}}}
		m := &manifest{Spec: spec{
			TLS:   []tlsHosts{{Hosts: []string{"a.example.com"}, SecretName: "s"}},
			Rules: []rule{{Host: "a.example.com", HTTP: &http{Paths: []path{{Path: p, PathType: &prefixType, Backend: to}, {Path: "/", PathType: &prefixType, Backend: to}}}}},
		}}
		tr := newTranslator(Options{AllClasses: true}.withDefaults(istio.Options{}), publicNames, "cluster.local")
		k := &known{written: o, object: o, manifest: m}
		tr.known[o.Key] = k
		tr.classify(k)
		tr.settle()
		all := config.Delta{}
		for _, out := range tr.outputs {
			typed := out.Derived.Typed
			if g, ok := typed.(*resource.Gateway); ok {
				g.Spec.Selector = map[string]string{"a": "b"}
			}
			for _, c := range validate.Object(typed) {
				if c.Severity == config.Error {
					t.Errorf("%s %s: %v", out.Kind, out.Name, c)
				}
			}
			all.Set = append(all.Set, out)
		}
		result := istio.NewCompiler(istio.Options{AllGateways: true}).Apply(all)
		_, problems := router.Build(result.Spec, nil)
		for _, p := range problems {
			t.Error(p)
		}
		for _, c := range tr.conditions() {
			if c.Message == "" || c.Object != o.Key {
				t.Errorf("%+v", c)
			}
		}
		if in := k.served; in.settings.closed && !hasError(tr.conditions()) {
			t.Error("it is closed, and nothing says so")
		}
		for _, n := range []string{name, name2} {
			if _, ok := knownAnnotations[n]; !ok && !strings.Contains(n, "\x00") && !mentions(tr.conditions(), n) {
				t.Errorf("nothing is said of %q", n)
			}
		}
	})
}

func hasError(conditions []config.Condition) bool {
	for _, c := range conditions {
		if c.Severity == config.Error {
			return true
		}
	}
	return false
}

func mentions(conditions []config.Condition, annotation string) bool {
	for _, c := range conditions {
		if c.Field == annotationField(annotation) {
			return true
		}
	}
	return false
}
