package istio_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/validate"
	"github.com/sluicegate/sluice/router"
)

// TestIncremental changes objects at random and compares what comes of each change
// with what a compiler makes that sees the final objects for the first time.
func TestIncremental(t *testing.T) {
	t.Parallel()
	roles := map[string]istio.Options{
		"gateway":  {Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway"}},
		"validate": {Role: istio.Gateway, AllGateways: true},
		"sidecar":  {Role: istio.Sidecar, Labels: map[string]string{"app": "client", "version": "v1"}, Locality: "east/z1"},
	}
	for name, options := range roles {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s-%d", name, seed), func(t *testing.T) {
				t.Parallel()
				w := &world{rand: rand.New(rand.NewPCG(seed, 7)), objects: map[config.Key]*config.Object{}, t: t}
				compiler := istio.NewCompiler(options)
				for step := range 40 {
					d := w.change()
					got := compiler.Apply(d)
					want := istio.NewCompiler(options).Apply(config.Delta{Set: w.all()})
					if diff := difference(got, want); diff != "" {
						t.Fatalf("step %d, after setting %s, removing %v:\n%s", step, manifests(d.Set), d.Removed, diff)
					}
				}
			})
		}
	}
}

// difference describes the first part in which two results differ.
func difference(got, want istio.Result) string {
	if !reflect.DeepEqual(got.Spec, want.Spec) {
		return "spec:\n got " + describe(got.Spec) + "\nwant " + describe(want.Spec)
	}
	if slices.Equal(got.Conditions, want.Conditions) {
		return ""
	}
	return "conditions:\n" + onlyIn("got ", got.Conditions, want.Conditions) + onlyIn("want", want.Conditions, got.Conditions)
}

// onlyIn lists the conditions of a that b lacks.
func onlyIn(label string, a, b []config.Condition) string {
	var out strings.Builder
	for _, c := range a {
		if !slices.Contains(b, c) {
			fmt.Fprintf(&out, "%s %v\n", label, c)
		}
	}
	return out.String()
}

// describe writes a Spec for people.
func describe(s *router.Spec) string {
	var b strings.Builder
	for _, l := range s.Listeners {
		fmt.Fprintf(&b, "\nlistener %s %s:%d %v", l.Name, l.Address, l.Port, l.NodePorts)
		for _, c := range l.Chains {
			printChain(&b, c)
		}
		for _, t := range l.Tables {
			fmt.Fprintf(&b, "\n  table %s %d", t.Name, t.Port)
			for _, h := range t.VirtualHosts {
				fmt.Fprintf(&b, "\n    %s %v tls=%v", h.Name, h.Domains, h.RequireTLS)
				for _, r := range h.Routes {
					fmt.Fprintf(&b, "\n      %+v\n", *r)
					printRoutePolicies(&b, r)
				}
			}
		}
	}
	for _, c := range s.Clusters {
		fmt.Fprintf(&b, "\ncluster %s %d", c.Name, c.Resolution)
		printClusterPolicies(&b, c)
		for _, e := range c.Endpoints {
			fmt.Fprintf(&b, " %+v", *e)
		}
	}
	for _, secret := range s.Secrets {
		printSecret(&b, secret)
	}
	return b.String()
}

func manifests(objects []*config.Object) string {
	var b strings.Builder
	for _, o := range objects {
		b.Write(o.Text())
	}
	return b.String()
}

// world is a set of objects that changes at random.
type world struct {
	rand    *rand.Rand
	objects map[config.Key]*config.Object
	t       *testing.T
}

func (w *world) all() []*config.Object {
	var all []*config.Object
	for _, o := range w.objects {
		all = append(all, o)
	}
	return all
}

// change sets or removes a few objects, as many at the start as make a small mesh.
func (w *world) change() config.Delta {
	n := 1 + w.rand.IntN(3)
	if len(w.objects) < 10 {
		n = 15
	}
	var d config.Delta
	touched := map[config.Key]bool{}
	for range n {
		o := parse(w.t, w.object())[0]
		if touched[o.Key] || !valid(o) {
			// What becomes of a bad version depends on the one before it.
			continue
		}
		touched[o.Key] = true
		// A Secret that is removed serves on, which a compiler that never saw it cannot know.
		if w.objects[o.Key] != nil && o.Kind != "Secret" && w.rand.IntN(3) == 0 {
			delete(w.objects, o.Key)
			d.Removed = append(d.Removed, o.Key)
			continue
		}
		w.objects[o.Key] = o
		d.Set = append(d.Set, o)
	}
	return d
}

// valid says whether an object has no Error of its own.
func valid(o *config.Object) bool {
	typed, _ := decode.Decode(o)
	return typed != nil && !slices.ContainsFunc(validate.Object(typed), func(c config.Condition) bool { return c.Severity == config.Error })
}

func (w *world) pick(of ...string) string { return of[w.rand.IntN(len(of))] }

func (w *world) namespace() string { return w.pick("default", "default", "shop", "istio-system") }

func (w *world) app() string { return w.pick("a", "b", "c") }

// meta writes the head of an object. Its age is its name's, so that it does not
// change from one version to the next.
func meta(apiVersion, kind, namespace, name string, extra ...string) string {
	age := 0
	for _, r := range namespace + name {
		age = (age*31 + int(r)) % 50
	}
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s\n  creationTimestamp: \"2026-01-01T00:00:%02dZ\"\n%s",
		apiVersion, kind, name, namespace, age, strings.Join(extra, ""))
}

// object writes a random object.
func (w *world) object() string {
	namespace, app := w.namespace(), w.app()
	switch w.rand.IntN(18) {
	case 0, 1:
		return w.gateway()
	case 2, 3, 4, 5:
		return w.virtualService()
	case 6:
		return meta("networking.istio.io/v1", "VirtualService", namespace, "delegate-"+app) + "spec:\n" + w.pick("", "  exportTo: [.]\n") + w.rules(false)
	case 7, 8:
		return w.destinationRule(namespace, app)
	case 9:
		return meta("networking.istio.io/v1", "ServiceEntry", namespace, "entry-"+app) + fmt.Sprintf(
			"spec:\n  hosts: [%s]\n  ports:\n  - {number: %s, name: http, protocol: %s}\n  resolution: %s\n%s",
			w.pick(app+"."+namespace+".svc.cluster.local", "x.org", "x.org, y.org"), w.pick("80", "9080"), w.pick("HTTP", "HTTP", "TCP"),
			w.pick("STATIC\n  endpoints:\n  - {address: 10.0.0.1, labels: {version: v1}}", "STATIC\n  workloadSelector: {labels: {app: "+app+"}}", "DNS"),
			w.pick("", "", "  exportTo: [\".\"]\n", "  exportTo: [default]\n"))
	case 10:
		return meta("v1", "Service", namespace, w.pick(app, app, "gw")) + w.serviceSpec(namespace, app)
	case 11, 12:
		name := app + w.pick("-1", "-2")
		return meta("v1", "Pod", namespace, name, fmt.Sprintf("  labels: {app: %s, version: %s}\n", w.app(), w.pick("v1", "v2"))) +
			fmt.Sprintf("spec:\n  containers:\n  - name: c\n    ports:\n    - {name: web, containerPort: %s}\nstatus: {podIP: 10.1.0.%d}\n", w.pick("8080", "8081"), len(namespace)*8+int(name[0])-'a')
	case 13:
		return meta("discovery.k8s.io/v1", "EndpointSlice", namespace, app+w.pick("-x", "-y"), "  labels: {kubernetes.io/service-name: "+w.app()+"}\n") +
			fmt.Sprintf("addressType: IPv4\nports:\n- {name: http, port: 8080}\nendpoints:\n- addresses: [10.1.0.%d]\n  conditions: {ready: %s}\n  zone: z1\n%s",
				w.rand.IntN(3)+8*w.rand.IntN(12), w.pick("true", "true", "false"), w.pick("", "  targetRef: {kind: Pod, name: "+w.app()+"-1}\n"))
	case 14:
		return meta("v1", "Endpoints", namespace, app) + fmt.Sprintf("subsets:\n- addresses: [{ip: 10.1.0.%d}]\n  ports: [{name: http, port: 8080}]\n", w.rand.IntN(3)+8*w.rand.IntN(12))
	case 15:
		return meta("networking.istio.io/v1", "WorkloadEntry", namespace, app) +
			fmt.Sprintf("spec:\n  address: 10.2.0.%d\n  labels: {app: %s, version: v2}\n", 1+w.rand.IntN(3), w.app())
	case 16:
		return strings.Replace(pairs()[w.rand.IntN(2)].secret(w.pick("one", "two", "one-cacert")), "istio-system", w.pick("istio-system", "default"), 1)
	default:
		return meta("networking.istio.io/v1", "Sidecar", w.pick("default", "istio-system"), "default") + "spec:\n" +
			w.pick("", "  workloadSelector: {labels: {app: client}}\n") +
			w.pick("  egress:\n  - hosts: [\"./*\"]\n", "  egress:\n  - hosts: [\"*/*\"]\n", "  egress:\n  - port: {number: 80, name: http, protocol: HTTP}\n    hosts: [\"shop/*\"]\n  - hosts: [\"default/*\", \"~/*\"]\n") +
			w.pick("", "  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n")
	}
}

func (w *world) serviceSpec(namespace, app string) string {
	if w.rand.IntN(6) == 0 {
		return "spec:\n  type: ExternalName\n  externalName: " + w.pick("x.org", "b.default.svc.cluster.local") + "\n  ports:\n  - {name: http, port: 80}\n"
	}
	if namespace == "istio-system" && w.rand.IntN(2) == 0 {
		return fmt.Sprintf("spec:\n  selector: {istio: ingressgateway}\n  ports:\n  - {name: http2, port: 80, targetPort: %s, nodePort: 31380}\n", w.pick("8080", "8081", "web"))
	}
	second := w.pick("", "  - {name: tcp-x, port: 9080}\n", "  - {name: http-x, port: 9080}\n")
	return fmt.Sprintf("spec:\n  clusterIP: %s\n  selector: {app: %s}\n  ports:\n  - {name: http, port: 80, targetPort: %s}\n%s",
		w.pick("10.96.0.1", "None"), app, w.pick("8080", "web"), second)
}

func (w *world) gateway() string {
	var b strings.Builder
	b.WriteString(meta("networking.istio.io/v1", "Gateway", w.namespace(), w.pick("gw0", "gw1")) + "spec:\n")
	b.WriteString(w.pick("  selector: {istio: ingressgateway}\n", "  selector: {istio: ingressgateway}\n", "  selector: {istio: other}\n") + "  servers:\n")
	for i := range 1 + w.rand.IntN(2) {
		hosts := w.pick(`"*"`, `"*.example.com"`, `"a.example.com", "b.example.com"`, `"./*"`, `"shop/a.example.com"`)
		if w.rand.IntN(2) == 0 {
			fmt.Fprintf(&b, "  - port: {number: 443, name: p%d, %s}\n    hosts: [%s]\n", i, w.tlsServer(), hosts)
			continue
		}
		fmt.Fprintf(&b, "  - port: {number: %s, name: p%d, protocol: %s}\n    hosts: [%s]\n%s%s", w.pick("80", "80", "8080"), i, w.pick("HTTP", "HTTP", "HTTP2", "TCP"),
			hosts, w.pick("", "", "", "    bind: 127.0.0.1\n"), w.pick("", "", "    tls: {httpsRedirect: true}\n"))
	}
	return b.String()
}

// tlsServer writes the protocol and the settings of a server of TLS.
func (w *world) tlsServer() string {
	return w.pick(
		"protocol: HTTPS}\n    tls: {mode: SIMPLE, credentialName: "+w.pick("one", "two"),
		"protocol: HTTPS}\n    tls: {mode: MUTUAL, credentialName: one",
		"protocol: TLS}\n    tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k",
		"protocol: TLS}\n    tls: {mode: PASSTHROUGH", "protocol: TLS}\n    tls: {mode: PASSTHROUGH", "protocol: TLS}\n    tls: {mode: PASSTHROUGH",
		"protocol: HTTPS}\n    tls: {mode: PASSTHROUGH",
		"protocol: TLS}\n    tls: {mode: AUTO_PASSTHROUGH")
}

// streamRules writes tls and tcp rules for hosts, or none.
func (w *world) streamRules(hosts string) string {
	names := strings.ReplaceAll(strings.Split(hosts, ",")[0], "*", w.pick("*", "a", "b", "*.b"))
	switch w.rand.IntN(4) {
	case 0, 1:
		return fmt.Sprintf("  tls:\n  - match:\n    - {sniHosts: [%s]%s}\n    - {sniHosts: [%s]}\n    route: [{destination: {host: %s}}]\n", names,
			w.pick("", ", port: 443", ", gateways: [gw0]", ", destinationSubnets: [10.0.0.0/8]"), strings.Split(hosts, ",")[0], w.destination())
	case 2:
		return fmt.Sprintf("  tcp:\n%s  - route: [{destination: {host: %s}}]\n", w.pick("",
			"  - match: [{port: 80}]\n    route: [{destination: {host: "+w.destination()+"}}]\n",
			"  - match: [{destinationSubnets: [10.0.0.0/8]}]\n    route: [{destination: {host: "+w.destination()+"}}]\n"), w.destination())
	}
	return ""
}

func (w *world) virtualService() string {
	hosts := w.pick("a", "b, x.org", "a.example.com", `"*.example.com"`, `"*.shop.svc.cluster.local"`, "a.default.svc.cluster.local, z.org", "x.org, y.org")
	return meta("networking.istio.io/v1", "VirtualService", w.namespace(), w.pick("vs0", "vs1", "vs2")) + fmt.Sprintf("spec:\n  hosts: [%s]\n%s%s%s%s",
		hosts,
		w.pick("", "", "  gateways: [gw0]\n", "  gateways: [default/gw0, gw1]\n", "  gateways: [mesh, default/gw0, istio-system/gw1]\n", "  gateways: [default/gw1]\n"),
		w.pick("", "", "  exportTo: [\".\"]\n", "  exportTo: [default]\n"), w.streamRules(hosts), w.rules(true))
}

func (w *world) rules(delegates bool) string {
	var b strings.Builder
	b.WriteString("  http:\n")
	for i := range 1 + w.rand.IntN(3) {
		fmt.Fprintf(&b, "  - name: r%d\n%s", i, w.pick(
			"", "    match:\n    - uri: {prefix: /api}\n", "    match:\n    - uri: {exact: /x}\n    - sourceLabels: {app: client}\n      port: 80\n",
			"    match:\n    - gateways: [mesh]\n", "    match:\n    - sourceNamespace: shop\n    - uri: {prefix: /own}\n", "    match:\n    - headers: {x: {exact: \"1\"}}\n"))
		if delegates && w.rand.IntN(5) == 0 {
			fmt.Fprintf(&b, "    delegate: {name: delegate-%s, namespace: %s}\n", w.app(), w.pick("default", "shop"))
			continue
		}
		fmt.Fprintf(&b, "%s    route:\n    - destination: {host: %s}\n", w.routePolicy(), w.destination())
	}
	return b.String()
}

func (w *world) destination() string {
	return w.pick("a", "b", "c.shop.svc.cluster.local", "x.org", "nowhere") +
		w.pick("", "", ", subset: v1", ", subset: v2, port: {number: 80}", ", port: {number: 9080}")
}

// routePolicy writes policies of a rule.
func (w *world) routePolicy() string {
	return w.pick("", "", "",
		"    retries: {attempts: 0}\n",
		"    retries: {attempts: 3, retryOn: \"5xx,429\"}\n",
		"    fault: {abort: {httpStatus: 500, percentage: {value: 50}}}\n",
		"    corsPolicy: {allowOrigins: [{exact: \"*\"}]}\n    timeout: 1s\n",
		"    mirror: {host: "+w.destination()+"}\n    mirrorPercentage: {value: "+w.pick("0", "10")+"}\n",
		"    mirrors: [{destination: {host: "+w.destination()+"}}, {destination: {host: "+w.destination()+"}}]\n")
}

// trafficPolicy writes the blocks of a traffic policy.
func (w *world) trafficPolicy() string {
	balancer := w.pick("simple: RANDOM", "simple: ROUND_ROBIN, warmup: {duration: 5s}", "simple: PASSTHROUGH", "consistentHash: {httpHeaderName: X-User}",
		"consistentHash: {httpCookie: {name: c, ttl: 1s}, maglev: {tableSize: 251}}", "localityLbSetting: {failoverPriority: [app]}")
	return w.pick(
		"{loadBalancer: {"+balancer+"}}",
		"{loadBalancer: {"+balancer+"}, outlierDetection: {consecutive5xxErrors: "+w.pick("1", "2")+"}}",
		"{connectionPool: {http: {http1MaxPendingRequests: 1}}, retryBudget: {percent: 5}}",
		"{tls: {mode: ISTIO_MUTUAL}}",
		"{tls: {mode: SIMPLE}}",
		"{connectionPool: {tcp: {idleTimeout: "+w.pick("0s", "5s")+"}}}",
		"{tls: {mode: "+w.pick("SIMPLE", "MUTUAL")+", credentialName: "+w.pick("one", "two")+"}, proxyProtocol: {}}",
		"{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}, portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}",
		"{outlierDetection: {}, portLevelSettings: [{port: {number: 80}, loadBalancer: {"+balancer+"}}]}")
}

func (w *world) destinationRule(namespace, app string) string {
	return meta("networking.istio.io/v1", "DestinationRule", namespace, w.pick("dr0", "dr1", "dr2")) + fmt.Sprintf("spec:\n  host: %s\n%s%s  subsets:\n  - {name: v1, labels: {version: v1}}\n%s",
		w.pick(app, app+".default.svc.cluster.local", `"*.shop.svc.cluster.local"`, "x.org"),
		w.pick("", "", "  exportTo: [\".\"]\n", "  exportTo: [default]\n"),
		w.pick("", "  trafficPolicy: "+w.trafficPolicy()+"\n", "  trafficPolicy: "+w.trafficPolicy()+"\n"),
		w.pick("", "  - {name: v2, labels: {version: v2}, trafficPolicy: "+w.trafficPolicy()+"}\n"))
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
