package istio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// parts are the pointers of a Spec, by name.
func parts(s *router.Spec) map[string]any {
	all := map[string]any{}
	for _, l := range s.Listeners {
		all["listener "+l.Name] = l
		for _, c := range l.Chains {
			all["chain "+c.Name] = c
			for _, s := range c.Streams {
				all["stream "+s.Name+" in "+c.Name] = s
			}
		}
		for _, t := range tables(l) {
			all["table "+t.Name] = t
			for _, h := range t.VirtualHosts {
				all[fmt.Sprintf("host %s in %s", h.Name, t.Name)] = h
			}
		}
	}
	for _, c := range s.Clusters {
		all["cluster "+c.Name] = c
	}
	return all
}

// tables are those of a listener, and of its chains.
func tables(l *router.Listener) []*router.RouteTable {
	all := slices.Clone(l.Tables)
	for _, c := range l.Chains {
		if c.Table != nil {
			all = append(all, c.Table)
		}
	}
	return all
}

// TestSharing changes one object and lists the parts of the Spec that are no longer
// the ones of before: what router.Build compiles anew.
func TestSharing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		role   string
		change string
		want   string
	}{
		"a VirtualService on a gateway": {
			role: "gateway", change: benchVirtualService(3, "/changed"),
			want: "host app-3.default.svc.cluster.local:80 in http.80, host app-3.example.com:80 in http.80, listener 0.0.0.0_80, table http.80",
		},
		"a VirtualService of a sidecar": {
			role: "sidecar", change: benchVirtualService(3, "/changed"),
			want: "host app-3.default.svc.cluster.local:80 in 80, host app-3.example.com:80 in 80, listener outbound, table 80",
		},
		"endpoints": {
			role: "gateway", change: benchSlice(3, 2), want: "cluster outbound|80||app-3.default.svc.cluster.local",
		},
		"a DestinationRule": {
			role: "gateway", want: "cluster outbound|80||app-3.default.svc.cluster.local",
			change: meta("networking.istio.io/v1", "DestinationRule", "default", "three") + "spec:\n  host: app-3\n  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n",
		},
		"a DestinationRule that changes how retries go": {
			role: "gateway",
			want: "cluster outbound|80||app-3.default.svc.cluster.local, host app-3.default.svc.cluster.local:80 in http.80, " +
				"host app-3.example.com:80 in http.80, listener 0.0.0.0_80, table http.80",
			change: meta("networking.istio.io/v1", "DestinationRule", "default", "three") + "spec:\n  host: app-3\n  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}\n",
		},
		"a Gateway that comes to the same": {
			role: "gateway", want: "",
			change: meta("networking.istio.io/v1", "Gateway", "istio-system", "gw") +
				"spec:\n  selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 80, name: renamed, protocol: HTTP2}\n    hosts: [\"*/*\"]\n",
		},
		"a Service that comes to the same": {
			role: "sidecar", want: "", change: strings.Replace(benchService(3), "spec:", "spec:\n  sessionAffinity: None", 1),
		},
		"an object of no concern": {
			role: "gateway", want: "", change: meta("v1", "Namespace", "", "other"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiler := istio.NewCompiler(benchRoles[test.role])
			before := compiler.Apply(config.Delta{Set: folder(t, 20)})
			after := compiler.Apply(config.Delta{Set: parse(t, test.change)})
			had := parts(before.Spec)
			var changed []string
			for name, part := range parts(after.Spec) {
				if had[name] != part {
					changed = append(changed, name)
				}
			}
			if got := sortedList(changed); got != test.want {
				t.Errorf("other parts:\n got %s\nwant %s", got, test.want)
			}
			if test.want == "" && before.Spec != after.Spec {
				t.Error("another Spec with the same parts")
			}
		})
	}
}

// TestChainSharing does the same for a gateway whose servers speak TLS.
func TestChainSharing(t *testing.T) {
	t.Parallel()
	const listener, passing = "listener 0.0.0.0_443", "tls.443.tls.gw.istio-system/"
	tests := map[string]struct{ change, want string }{
		"a tls rule's destination": {
			change: passedThrough(1, "app-0"),
			want:   "chain " + passing + "app-1.example.com, " + listener + ", stream app-1.default.tls[0].match[0] in " + passing + "app-1.example.com",
		},
		"an http rule": {
			change: strings.Replace(passedThrough(1, "app-1"), "  - route:", "  - name: changed\n    route:", 1),
			want: "chain https.443.https-1.gw.istio-system, host app-1.example.org:443 in https.443.https-1.gw.istio-system, " +
				listener + ", table https.443.https-1.gw.istio-system",
		},
		"a VirtualService of another name": {
			change: strings.ReplaceAll(passedThrough(7, "app-1"), "app-7.example.org", "other.example.net"),
			want:   "chain " + passing + "app-7.example.com, " + listener + ", stream app-7.default.tls[0].match[0] in " + passing + "app-7.example.com",
		},
		"an idle timeout": {
			change: meta("networking.istio.io/v1", "DestinationRule", "default", "one") + "spec:\n  host: app-1\n  trafficPolicy: {connectionPool: {tcp: {idleTimeout: 5s}}}\n",
			want: "chain " + passing + "app-1.example.com, cluster outbound|80||app-1.default.svc.cluster.local, " + listener +
				", stream app-1.default.tls[0].match[0] in " + passing + "app-1.example.com",
		},
		"another Gateway on the port": {
			change: meta("networking.istio.io/v1", "Gateway", "istio-system", "gw2") +
				"spec:\n  servers:\n  - port: {number: 443, name: https, protocol: HTTPS}\n    hosts: [z.example.org]\n    tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}\n",
			want: "chain https.443.https.gw2.istio-system, host blackhole:443 in https.443.https.gw2.istio-system, " + listener + ", table https.443.https.gw2.istio-system",
		},
		"another Gateway on another port": {
			change: meta("networking.istio.io/v1", "Gateway", "istio-system", "gw2") + "spec:\n  servers:\n  - port: {number: 80, name: http, protocol: HTTP}\n    hosts: [\"*\"]\n",
			want:   "host blackhole:80 in http.80, listener 0.0.0.0_80, table http.80",
		},
		"a VirtualService that is written again": {change: passedThrough(1, "app-1")},
		"a Secret that nobody names":             {change: pairs()[0].secret("nobody")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiler := istio.NewCompiler(benchRoles["gateway"])
			before := compiler.Apply(config.Delta{Set: tlsFolder(t, 3)})
			after := compiler.Apply(config.Delta{Set: parse(t, test.change)})
			had := parts(before.Spec)
			var changed []string
			for name, part := range parts(after.Spec) {
				if had[name] != part {
					changed = append(changed, name)
				}
			}
			if got := sortedList(changed); got != test.want {
				t.Errorf("other parts:\n got %s\nwant %s", got, test.want)
			}
			if test.want == "" && before.Spec != after.Spec {
				t.Error("another Spec with the same parts")
			}
		})
	}
}

// TestStreamsComeAndGo has the only rule for a port come and go: the port is open while it is
// there, and the other listeners stay as they are.
func TestStreamsComeAndGo(t *testing.T) {
	t.Parallel()
	rule := parse(t, meta("networking.istio.io/v1", "VirtualService", "default", "db")+"spec:\n  hosts: [\"*\"]\n  gateways: [istio-system/tcp]\n  tcp: [{route: [{destination: {host: app-0}}]}]\n")
	compiler := istio.NewCompiler(benchRoles["gateway"])
	first := compiler.Apply(config.Delta{Set: append(tlsFolder(t, 2), parse(t, meta("networking.istio.io/v1", "Gateway", "istio-system", "tcp")+
		"spec:\n  servers:\n  - port: {number: 3306, name: mysql, protocol: MYSQL}\n    hosts: [\"*\"]\n")...)})
	if n := len(first.Spec.Listeners); n != 1 || !reported(first, istio.ServerNotRouted) {
		t.Fatalf("%d listeners, %v", n, first.Conditions)
	}
	open := compiler.Apply(config.Delta{Set: rule})
	if len(open.Spec.Listeners) != 2 || open.Spec.Listeners[0] != first.Spec.Listeners[0] || reported(open, istio.ServerNotRouted) {
		t.Fatalf("with a rule: %d listeners, %v", len(open.Spec.Listeners), open.Conditions)
	}
	if chains := open.Spec.Listeners[1].Chains; len(chains) != 1 || len(chains[0].Streams) != 1 || chains[0].TLS != nil || len(chains[0].ServerNames) != 0 {
		t.Errorf("chains %+v", chains)
	}
	closed := compiler.Apply(config.Delta{Removed: []config.Key{rule[0].Key}})
	if len(closed.Spec.Listeners) != 1 || closed.Spec.Listeners[0] != first.Spec.Listeners[0] || !reported(closed, istio.ServerNotRouted) {
		t.Errorf("without it again: %d listeners, %v", len(closed.Spec.Listeners), closed.Conditions)
	}
}

// TestSecretCondition has the Secret of a server come: what was said of it is said no more,
// and the chain is the one of before.
func TestSecretCondition(t *testing.T) {
	t.Parallel()
	compiler := istio.NewCompiler(benchRoles["gateway"])
	before := compiler.Apply(config.Delta{Set: parse(t, meta("networking.istio.io/v1", "Gateway", "default", "gw")+
		"spec:\n  servers:\n  - port: {number: 443, name: https, protocol: HTTPS}\n    hosts: [\"*\"]\n    tls: {mode: SIMPLE, credentialName: shop}\n")})
	after := compiler.Apply(config.Delta{Set: parse(t, pairs()[0].secret("shop"))})
	if !reported(before, istio.SecretNotFound) || reported(after, istio.SecretNotFound) {
		t.Errorf("before %v, after %v", before.Conditions, after.Conditions)
	}
	if before.Spec.Listeners[0] != after.Spec.Listeners[0] || len(after.Spec.Secrets) != 1 {
		t.Errorf("%d secrets; the listener is another one: %v", len(after.Spec.Secrets), before.Spec.Listeners[0] != after.Spec.Listeners[0])
	}
}

// reported says whether there is a condition for a reason.
func reported(r istio.Result, reason config.Reason) bool {
	return slices.ContainsFunc(r.Conditions, func(c config.Condition) bool { return c.Reason == reason })
}

// TestPoliciesKeepPointers changes a cluster's endpoints, then one block of its policy:
// the other policies stay the ones of before, and routes share the default.
func TestPoliciesKeepPointers(t *testing.T) {
	t.Parallel()
	rule := func(errors int) string {
		return meta("networking.istio.io/v1", "DestinationRule", "default", "three") + fmt.Sprintf(`spec:
  host: app-3
  trafficPolicy:
    loadBalancer: {consistentHash: {useSourceIp: true}}
    outlierDetection: {consecutive5xxErrors: %d}
    retryBudget: {percent: 10}
`, errors)
	}
	options := benchRoles["gateway"]
	options.Locality = "east/z1"
	compiler := istio.NewCompiler(options)
	find := func(r istio.Result) *router.Cluster {
		for _, c := range r.Spec.Clusters {
			if c.Name == "outbound|80||app-3.default.svc.cluster.local" {
				return c
			}
		}
		t.Fatal("no cluster")
		return nil
	}
	first := compiler.Apply(config.Delta{Set: append(folder(t, 5), parse(t, rule(1))...)})
	before := find(first)
	moved := find(compiler.Apply(config.Delta{Set: parse(t, benchSlice(3, 2))}))
	if moved == before || moved.Hash != before.Hash || moved.Outlier != before.Outlier || moved.Locality != before.Locality || moved.Pool.Budget != before.Pool.Budget {
		t.Error("other endpoints came with other policies")
	}
	stricter := find(compiler.Apply(config.Delta{Set: parse(t, rule(2))}))
	if stricter.Outlier == before.Outlier || stricter.Outlier.Consecutive5xx != 2 {
		t.Error("outlier detection is the one of before")
	}
	if stricter.Hash != before.Hash || stricter.Locality != before.Locality || stricter.Pool.Budget != before.Pool.Budget {
		t.Error("another block changed, and with it policies that did not")
	}
	retries := map[*router.Retry]bool{}
	for _, h := range first.Spec.Listeners[0].Tables[0].VirtualHosts {
		for _, r := range h.Routes {
			retries[r.Policy.Retry] = true
		}
	}
	if len(retries) != 2 {
		t.Errorf("%d retry policies: want the default, and the one for what a hash picks", len(retries))
	}
}

// TestMovedObject moves an object down its file: its conditions say the new line.
func TestMovedObject(t *testing.T) {
	t.Parallel()
	object := parse(t, meta("networking.istio.io/v1", "VirtualService", "default", "vs")+"spec:\n  hosts: [a]\n  gateways: [nowhere]\n  http: [{directResponse: {status: 200}}]\n")[0]
	compiler := istio.NewCompiler(istio.Options{})
	before := compiler.Apply(config.Delta{Set: []*config.Object{object}}).Conditions
	after := compiler.Apply(config.Delta{Moved: []config.Place{{Key: object.Key, Line: object.Line + 10}}}).Conditions
	if len(before) != 1 || len(after) != 1 || after[0].Line != before[0].Line+10 {
		t.Errorf("before %v, after %v", before, after)
	}
	sources := []config.Condition{{Severity: config.Error, Reason: config.BadYAML, Message: "broken"}}
	back := compiler.Apply(config.Delta{Moved: []config.Place{{Key: object.Key, Line: object.Line}}, Conditions: sources}).Conditions
	if len(back) != 2 || back[0] != sources[0] || back[1] != before[0] {
		t.Errorf("moved back, with a condition on the sources: %v", back)
	}
}

func sortedList(list []string) string {
	return strings.Join(sorted(list), ", ")
}
