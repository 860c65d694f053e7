package pipeline_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/validate"
)

// changer writes objects at random, out of so few names that they meet.
type changer struct {
	*rand.Rand
	// only are the cases of manifest that it writes: few of them meet more often.
	only []int
}

// manifests is how many cases manifest has.
const manifests = 34

// newChanger returns a changer that writes all kinds of objects.
func newChanger(seed uint64) changer {
	c := changer{Rand: rand.New(rand.NewPCG(seed, 11))}
	c.only = c.Perm(manifests)
	return c
}

func (c changer) oneIn(n int) bool { return c.IntN(n) == 0 }

func (c changer) pick(of ...string) string { return of[c.IntN(len(of))] }

func (c changer) pickInt(of ...int) int { return of[c.IntN(len(of))] }

// maybe is a text, in one of n cases.
func (c changer) maybe(n int, text string) string {
	if c.oneIn(n) {
		return text
	}
	return ""
}

func (c changer) namespace() string { return c.pick("default", "default", "shop", "istio-system") }

func (c changer) name() string { return c.pick("a", "b", "c") }

// object writes an object, and says whether it has no Error of its own.
func (c changer) object() (*config.Object, bool) {
	text, good := c.manifest()
	parsed, conditions := config.ParseObjects(config.SplitDocuments([]byte(text))[0], c.pick("a.yaml", "b.yaml"))
	if len(conditions) > 0 || len(parsed) != 1 {
		panic(fmt.Sprint(text, conditions))
	}
	o := parsed[0]
	o.Line = 1 + c.IntN(20)
	if strings.HasSuffix(o.Group, "istio.io") || o.Kind == "ConfigMap" {
		good = valid(o)
	}
	return o, good
}

// valid says whether an object of Istio's API has no Error of its own: by itself it can have one
// only of its own, or of what it names.
func valid(o *config.Object) bool {
	typed, _ := decode.Decode(o)
	if typed == nil || slices.ContainsFunc(validate.Object(typed), isError) {
		return false
	}
	alone := istio.NewCompiler(istio.Options{}).Apply(config.Delta{Set: []*config.Object{o}}).Conditions
	return !slices.ContainsFunc(alone, func(c config.Condition) bool { return c.Reason == istio.BadRoutePolicy })
}

func isError(c config.Condition) bool { return c.Severity == config.Error }

// meta writes the head of an object, of one of few ages.
func (c changer) meta(apiVersion, kind, namespace, name, extra string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n%s%s%s",
		apiVersion, kind, name, strings.TrimSuffix("  namespace: "+namespace+"\n", "  namespace: \n"),
		c.pick("", "  creationTimestamp: \"2026-01-01T00:00:01Z\"\n", "  creationTimestamp: \"2026-01-01T00:00:02Z\"\n"), extra)
}

const (
	networkingAPI = "networking.istio.io/v1"
	clusterName   = ".svc.cluster.local"
)

// manifest writes an object, and says whether it is meant to have no Error.
func (c changer) manifest() (string, bool) {
	switch c.only[c.IntN(len(c.only))] {
	case 0, 1, 2:
		return c.gateway(), true
	case 3, 4, 5, 6, 7:
		return c.virtualService(), true
	case 8:
		return c.meta(networkingAPI, "VirtualService", c.namespace(), "d-"+c.name(), c.policies()) + "spec:\n" + c.pick("", "", "  exportTo: [.]\n", "  hosts: [a.example.com]\n") + c.rules(c.oneIn(5)), true
	case 9, 10, 11:
		return c.destinationRule(), true
	case 12, 13:
		return c.serviceEntry(), true
	case 14, 15, 16:
		return c.service()
	case 17, 18:
		return c.pod(), true
	case 19, 20:
		return c.slice()
	case 21:
		return c.meta("v1", "Endpoints", c.namespace(), c.name(), "") + fmt.Sprintf("subsets:\n- addresses: [{ip: 10.1.0.%d%s}]\n  ports: [{name: http, port: 8080}]\n", c.IntN(9), c.maybe(3, ", targetRef: {kind: Pod, name: a-1}")), true
	case 22:
		return c.meta(networkingAPI, "WorkloadEntry", c.namespace(), c.name(), "") +
			fmt.Sprintf("spec:\n  address: 10.2.0.%d\n  labels: {app: %s, version: v2}\n%s", 1+c.IntN(3), c.name(), c.pick("", "  locality: east/z1\n", "  weight: 3\n", "  ports: {http: 81}\n")), true
	case 23, 24:
		return c.secret()
	case 25:
		return c.sidecar(), true
	case 26:
		return c.node(), true
	case 27:
		return c.telemetry(), true
	case 28:
		return c.meshConfig(), true
	case 29:
		return c.meta("networking.k8s.io/v1", "IngressClass", "", c.pick("edge", "other"), c.maybe(3, "  annotations: {ingressclass.kubernetes.io/is-default-class: \"true\"}\n")) +
			c.pick("spec: {controller: sluice.dev/ingress-controller}\n", "spec: {controller: other}\n", "spec: {controller: other}\n"), true
	case 30:
		return c.pick(
			c.meta("networking.istio.io/v1beta1", "ProxyConfig", c.namespace(), c.name(), "")+"spec: {concurrency: 1}\n",
			c.meta("v1", "Namespace", "", c.pick("default", "shop"), "  labels: {a: "+c.name()+"}\n"),
			c.meta("security.istio.io/v1", "AuthorizationPolicy", c.namespace(), c.name(), "")+"spec: {}\n",
			c.meta("gateway.networking.k8s.io/v1", "Gateway", c.namespace(), c.name(), "")+"spec: {}\n"), true
	default:
		return c.ingress()
	}
}

func (c changer) gateway() string {
	var b strings.Builder
	b.WriteString(c.meta(networkingAPI, "Gateway", c.namespace(), c.name(), "") + "spec:\n")
	b.WriteString("  selector: {" + c.pick("istio: ingressgateway", "istio: ingressgateway", "istio: other", "app: a") + "}\n  servers:\n")
	for i := range 1 + c.IntN(2) {
		hosts := c.pick(`"*"`, `"*"`, `"*.example.com"`, `"a.example.com", "b.example.com"`, `"./*"`, `"shop/a.example.com"`, `"default/*.example.com"`, `"*.local"`)
		if c.oneIn(2) {
			fmt.Fprintf(&b, "  - port: {number: 443, name: p%d, %s}\n    hosts: [%s]\n", i, c.tlsServer(), hosts)
			continue
		}
		fmt.Fprintf(&b, "  - port: {number: %s, name: p%d, protocol: %s}\n    hosts: [%s]\n%s%s", c.pick("80", "80", "8080"), i, c.pick("HTTP", "HTTP", "HTTP2", "TCP", "MONGO"),
			hosts, c.maybe(5, "    bind: 127.0.0.1\n"), c.maybe(4, "    tls: {httpsRedirect: true}\n"))
	}
	return b.String()
}

// tlsServer writes the protocol and the settings of a server of TLS.
func (c changer) tlsServer() string {
	return c.pick(
		"protocol: HTTPS}\n    tls: {mode: SIMPLE, credentialName: "+c.pick("one", "two"),
		"protocol: HTTPS}\n    tls: {mode: SIMPLE, credentialNames: [one, two]",
		"protocol: HTTPS}\n    tls: {mode: MUTUAL, credentialName: one",
		"protocol: HTTPS}\n    tls: {mode: OPTIONAL_MUTUAL, credentialName: two, caCertCredentialName: one",
		"protocol: TLS}\n    tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k",
		"protocol: TLS}\n    tls: {mode: PASSTHROUGH", "protocol: TLS}\n    tls: {mode: PASSTHROUGH",
		"protocol: HTTPS}\n    tls: {mode: PASSTHROUGH",
		"protocol: TLS}\n    tls: {mode: AUTO_PASSTHROUGH", "protocol: TLS}\n    tls: {mode: AUTO_PASSTHROUGH",
		"protocol: TLS}\n    tls: {mode: ISTIO_MUTUAL",
		"protocol: HTTPS}\n    tls: {mode: SIMPLE, credentialName: \"acme://\"",
		"protocol: HTTPS}\n    tls: {mode: SIMPLE")
}

func (c changer) exportTo() string {
	return c.pick("", "", "", "  exportTo: [\".\"]\n", "  exportTo: [default]\n", "  exportTo: [shop, istio-system]\n", "  exportTo: [\"~\"]\n")
}

// policies writes the annotation for what Istio's API has no words for, in some cases.
func (c changer) policies() string {
	return c.maybe(6, "  annotations: {"+istio.RoutePolicies+`: '`+c.pick(`{"r0":{"allow":["10.0.0.0/8"]}}`, `{"r0":{"maxRequestBody":100},"r1":{}}`, `{"r2":{"deny":["10.0.0.0/8"]}}`, `{"r0":{"maxRequestBody":-1}}`, `{"r0":7}`)+"'}\n")
}

func (c changer) virtualService() string {
	hosts := c.pick("a", "b, x.org", "a.example.com", `"*.example.com"`, `"*"`, `"*.shop.svc.cluster.local"`, "a.default.svc.cluster.local, z.org", "x.org, y.org", "c.shop.svc.cluster.local", "a, b.example.com")
	return c.meta(networkingAPI, "VirtualService", c.namespace(), c.name(), c.policies()) + fmt.Sprintf("spec:\n  hosts: [%s]\n%s%s%s%s",
		hosts,
		c.pick("", "", "  gateways: [a]\n", "  gateways: [default/a, b]\n", "  gateways: [mesh, default/a, istio-system/b]\n", "  gateways: [default/a]\n", "  gateways: [shop/b, default/b]\n"),
		c.exportTo(), c.streamRules(hosts), c.rules(true))
}

// streamRules writes tls and tcp rules for hosts, or none.
func (c changer) streamRules(hosts string) string {
	first := strings.Split(hosts, ",")[0]
	names := strings.ReplaceAll(first, "*", c.pick("*", "a", "b", "*.b"))
	switch c.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("  tls:\n  - match:\n    - {sniHosts: [%s]%s}\n    - {sniHosts: [%s]}\n    route: [{destination: {host: %s}}]\n", names,
			c.pick("", ", port: 443", ", gateways: [a]", ", destinationSubnets: [10.0.0.0/8]", ", sourceLabels: {app: a}"), first, c.destination())
	case 2:
		return fmt.Sprintf("  tcp:\n%s  - route: [{destination: {host: %s}}]\n", c.pick("",
			"  - match: [{port: 80}]\n    route: [{destination: {host: "+c.destination()+"}}]\n",
			"  - match: [{destinationSubnets: [10.0.0.0/8]}]\n    route: [{destination: {host: "+c.destination()+"}}]\n",
			"  - match: [{gateways: [a]}]\n    route: [{destination: {host: "+c.destination()+"}, weight: 1}, {destination: {host: "+c.destination()+"}, weight: 3}]\n"), c.destination())
	}
	return ""
}

func (c changer) rules(delegates bool) string {
	var b strings.Builder
	b.WriteString("  http:\n")
	for i := range 1 + c.IntN(3) {
		fmt.Fprintf(&b, "  - name: r%d\n%s", i, c.pick(
			"", "    match:\n    - uri: {prefix: /api}\n", "    match:\n    - uri: {exact: /x}\n    - sourceLabels: {app: a}\n      port: 80\n",
			"    match:\n    - gateways: [mesh]\n", "    match:\n    - gateways: [default/a]\n", "    match:\n    - sourceNamespace: shop\n    - uri: {prefix: /own}\n",
			"    match:\n    - headers: {x: {exact: \"1\"}}\n", "    match:\n    - uri: {regex: \"/(a|b).*\"}\n", "    match:\n    - headers: {\"@request.auth.claims.sub\": {exact: \"1\"}}\n"))
		switch {
		case delegates && c.oneIn(4):
			fmt.Fprintf(&b, "    delegate: {name: %s%s, namespace: %s}\n", c.pick("d-", "d-", ""), c.name(), c.namespace())
		case c.oneIn(8):
			b.WriteString(c.pick("    redirect: {uri: /to}\n", "    directResponse: {status: 418}\n"))
		case c.oneIn(4):
			fmt.Fprintf(&b, "%s    route:\n    - {destination: {host: %s}, weight: %s}\n    - {destination: {host: %s}, weight: 1}\n", c.routePolicy(), c.destination(), c.pick("0", "1", "9"), c.destination())
		default:
			fmt.Fprintf(&b, "%s    route:\n    - destination: {host: %s}\n", c.routePolicy(), c.destination())
		}
	}
	return b.String()
}

func (c changer) destination() string {
	return c.pick("a", "b", "c.shop.svc.cluster.local", "x.org", "y.org", "nowhere", "a.default.svc.cluster.local") +
		c.pick("", "", ", subset: v1", ", subset: v2, port: {number: 80}", ", port: {number: 9080}", ", port: {number: 80}")
}

// routePolicy writes policies of a rule.
func (c changer) routePolicy() string {
	return c.pick("", "", "",
		"    retries: {attempts: 0}\n",
		"    retries: {attempts: 3, retryOn: \"5xx,429\"}\n",
		"    fault: {abort: {httpStatus: 500, percentage: {value: 50}}}\n",
		"    corsPolicy: {allowOrigins: [{exact: \"*\"}]}\n    timeout: 1s\n",
		"    mirror: {host: "+c.destination()+"}\n    mirrorPercentage: {value: "+c.pick("0", "10")+"}\n",
		"    mirrors: [{destination: {host: "+c.destination()+"}}, {destination: {host: "+c.destination()+"}}]\n",
		"    rewrite: {uri: /}\n    headers: {request: {set: {x: y}}}\n")
}

// trafficPolicy writes the blocks of a traffic policy.
func (c changer) trafficPolicy() string {
	balancer := c.pick("simple: RANDOM", "simple: ROUND_ROBIN, warmup: {duration: 5s}", "simple: PASSTHROUGH", "consistentHash: {httpHeaderName: X-User}", "consistentHash: {useSourceIp: true}",
		"consistentHash: {httpCookie: {name: c, ttl: 1s}, maglev: {tableSize: 251}}", "localityLbSetting: {failoverPriority: [app]}", "localityLbSetting: {enabled: true, failover: [{from: east, to: west}]}")
	return c.pick(
		"{loadBalancer: {"+balancer+"}}",
		"{loadBalancer: {"+balancer+"}, outlierDetection: {consecutive5xxErrors: "+c.pick("1", "2")+"}}",
		"{connectionPool: {http: {http1MaxPendingRequests: 1}}, retryBudget: {percent: 5}}",
		"{tls: {mode: ISTIO_MUTUAL}}",
		"{tls: {mode: SIMPLE, sni: "+c.pick("a.org", "b.org")+"}}",
		"{connectionPool: {tcp: {idleTimeout: "+c.pick("0s", "5s")+"}}}",
		"{tls: {mode: "+c.pick("SIMPLE", "MUTUAL")+", credentialName: "+c.pick("one", "two")+"}, proxyProtocol: {}}",
		"{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}, portLevelSettings: [{port: {number: "+c.pick("80", "9080")+"}, tls: {mode: SIMPLE, credentialName: one}}]}",
		"{outlierDetection: {}, portLevelSettings: [{port: {number: 80}, loadBalancer: {"+balancer+"}}]}")
}

func (c changer) destinationRule() string {
	return c.meta(networkingAPI, "DestinationRule", c.namespace(), c.name(), "") + fmt.Sprintf("spec:\n  host: %s\n%s%s%s  subsets:\n  - {name: v1, labels: {version: v1}}\n%s",
		c.pick("a", "b", "c", "a.default.svc.cluster.local", "c.shop", `"*.shop.svc.cluster.local"`, `"*.local"`, `"*.org"`, "x.org", "y.org"), c.exportTo(),
		c.pick("", "", "", "  workloadSelector: {matchLabels: {app: a}}\n", "  workloadSelector: {matchLabels: {istio: ingressgateway}}\n"),
		c.pick("", "  trafficPolicy: "+c.trafficPolicy()+"\n"),
		c.pick("", "  - {name: v2, labels: {version: v2}, trafficPolicy: "+c.trafficPolicy()+"}\n", "  - {name: v1, labels: {}}\n"))
}

func (c changer) serviceEntry() string {
	app, namespace := c.name(), c.namespace()
	return c.meta(networkingAPI, "ServiceEntry", c.namespace(), c.name(), "") + fmt.Sprintf(
		"spec:\n  hosts: [%s]\n%s  ports:\n  - {number: %s, name: http, protocol: %s%s}\n  resolution: %s\n%s",
		c.pick(app+"."+namespace+clusterName, "x.org", "x.org, y.org", `"*.org"`, app), c.maybe(3, "  addresses: [10.96.0."+c.pick("1", "2")+"]\n"),
		c.pick("80", "9080", "443"), c.pick("HTTP", "HTTP", "TCP", "TLS", "HTTP2", "nonsense"), c.maybe(4, ", targetPort: 81"),
		c.pick("STATIC\n  endpoints:\n  - {address: 10.0.0.1, labels: {version: v1}}", "STATIC\n  workloadSelector: {labels: {app: "+app+"}}", "DNS", "DNS_ROUND_ROBIN", "NONE",
			"STATIC\n  endpoints:\n  - {address: 10.1.0.1, ports: {http: 8080}, labels: {version: v1}}\n  - {address: 10.1.0.2, ports: {http: 8080}}", "DNS\n  endpoints:\n  - {address: e.org, locality: west}\n  - {address: f.org, network: n, weight: 2}", "STATIC\n  location: MESH_EXTERNAL\n  endpoints:\n  - {address: 10.0.0.2, locality: east/z1}"),
		c.exportTo())
}

// annotated writes an exportTo in the annotations.
func (c changer) annotated() string {
	return c.maybe(5, "  annotations: {networking.istio.io/exportTo: \""+c.pick(".", "default", "~", "*", "shop,default")+"\"}\n")
}

func (c changer) service() (string, bool) {
	namespace, name := c.namespace(), c.name()
	meta := c.meta("v1", "Service", namespace, name, c.annotated())
	if c.oneIn(12) {
		return meta + "spec: {ports: [{port: {}}]}\n", false
	}
	if c.oneIn(6) {
		return meta + "spec:\n  type: ExternalName\n  externalName: " + c.pick("x.org", "b.default.svc.cluster.local", "a.default.svc.cluster.local", "c.shop.svc.cluster.local") + "\n  ports:\n  - {name: http, port: 80}\n", true
	}
	if namespace == "istio-system" && c.oneIn(2) {
		return meta + fmt.Sprintf("spec:\n  selector: {istio: ingressgateway}\n  ports:\n  - {name: http2, port: 80, targetPort: %s, nodePort: 31380}\n", c.pick("8080", "8081", "web")), true
	}
	return meta + fmt.Sprintf("spec:\n  clusterIP: %s\n  selector: {app: %s}\n%s  ports:\n  - {name: %s, port: 80, targetPort: %s}\n%s",
		c.pick("10.96.0.1", "10.96.0.2", "None"), name, c.maybe(5, "  publishNotReadyAddresses: true\n"), c.pick("http", "http", "tcp", "web"), c.pick("8080", "web"),
		c.pick("", "  - {name: tcp-x, port: 9080}\n", "  - {name: http-x, port: 9080}\n", "  - {name: https, port: 443, appProtocol: https}\n")), true
}

func (c changer) pod() string {
	return c.meta("v1", "Pod", c.namespace(), c.name()+c.pick("-1", "-2"), fmt.Sprintf("  labels: {app: %s, version: %s%s}\n", c.name(), c.pick("v1", "v2"), c.maybe(4, ", istio-locality: east.z2"))) +
		fmt.Sprintf("spec:\n  containers:\n  - name: c\n    ports:\n    - {name: web, containerPort: %s}\nstatus:\n  podIP: 10.1.0.%d\n%s", c.pick("8080", "8081"), c.IntN(9),
			c.pick("", "", "  conditions: [{type: Ready, status: \"False\"}]\n", "  phase: Succeeded\n"))
}

func (c changer) slice() (string, bool) {
	label := "  labels: {kubernetes.io/service-name: " + c.name() + "}\n"
	meta := c.meta("discovery.k8s.io/v1", "EndpointSlice", c.namespace(), c.name(), c.pick(label, label, label, ""))
	if c.oneIn(12) {
		return meta + "addressType: IPv4\nports: 7\nendpoints: []\n", false
	}
	return meta + fmt.Sprintf("addressType: %s\nports:\n- {name: %s, port: 8080}\nendpoints:\n- addresses: [10.1.0.%d]\n  conditions: {ready: %s}\n  zone: z%d\n%s",
		c.pick("IPv4", "IPv4", "IPv4", "IPv6"), c.pick("http", "http", "http-x", "tcp-x"), c.IntN(9), c.pick("true", "true", "false"), 1+c.IntN(2),
		c.pick("", "  targetRef: {kind: Pod, name: "+c.name()+"-1}\n")+c.maybe(3, fmt.Sprintf("- addresses: [10.1.0.%d]\n", c.IntN(9)))), true
}

func (c changer) sidecar() string {
	return c.meta(networkingAPI, "Sidecar", c.pick("default", "istio-system", "shop"), c.name(), "") + "spec:\n" +
		c.pick("", "  workloadSelector: {labels: {app: a}}\n", "  workloadSelector: {labels: {app: b}}\n") +
		c.pick("  egress:\n  - hosts: [\"./*\"]\n", "  egress:\n  - hosts: [\"*/*\"]\n", "  egress:\n  - port: {number: 80, name: http, protocol: HTTP}\n    hosts: [\"shop/*\"]\n  - hosts: [\"default/*\", \"~/*\"]\n",
			"  egress:\n  - hosts: [\"*/x.org\", \"./*\"]\n", "  egress:\n  - port: {number: 81, name: p, protocol: HTTP_PROXY}\n    hosts: [\"*/*\"]\n  - hosts: [\"istio-system/*\", \"*/*.org\"]\n") +
		c.pick("", "  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n", "  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: "+c.pick("a", "b.shop.svc.cluster.local")+", port: {number: 80}}}\n")
}

func (c changer) node() string {
	return c.meta("v1", "Node", "", c.pick("n1", "n2"), fmt.Sprintf("  labels: {topology.kubernetes.io/region: %s, topology.kubernetes.io/zone: z%d}\n", c.pick("east", "west"), 1+c.IntN(2)))
}

func (c changer) telemetry() string {
	return c.meta("telemetry.istio.io/v1", "Telemetry", c.namespace(), c.name(), "") + "spec:\n" +
		c.pick("  selector: {matchLabels: {app: a}}\n", "  selector: {matchLabels: {istio: ingressgateway}}\n", "", "") +
		c.pick("  accessLogging: [{providers: [{name: "+c.pick("envoy", "file", "otel", "missing")+"}]}]\n",
			"  accessLogging: [{disabled: true}]\n", "  accessLogging: [{filter: {expression: \""+c.pick("response.code >= 400", "((")+"\"}}]\n",
			"  tracing: [{providers: [{name: "+c.pick("otlp", "missing", "zipkin")+"}], randomSamplingPercentage: "+c.pick("1", "200")+"}]\n",
			"  metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: "+c.pick("request.host", "((")+"}}}], providers: [{name: prometheus}]}]\n",
			"  metrics: []\n")
}

func (c changer) meshConfig() string {
	return c.meta("v1", "ConfigMap", c.pick("istio-system", "istio-system", "default"), "istio", "") + "data:\n  mesh: |\n" + c.pick(
		"    accessLogFile: /dev/stdout\n", "    accessLogFormat: \"%REQ(:PATH)% %NONSENSE%\"\n    accessLogFile: /x\n", "    accessLogEncoding: JSON\n    accessLogFormat: \"{\"\n    accessLogFile: /x\n",
		"    nonsense: [\n", "    accessLogFile: [1]\n",
		"    extensionProviders:\n    - {name: otel, envoyOtelAls: {service: a.default.svc.cluster.local, port: 80}}\n    - {name: otlp, opentelemetry: {service: "+c.pick("b.shop.svc.cluster.local", "x.org")+", port: 80}}\n    - {name: file, envoyFileAccessLog: {path: /f}}\n    defaultProviders: {accessLogging: [file], tracing: [otlp]}\n")
}

func (c changer) secret() (string, bool) {
	meta := c.meta("v1", "Secret", c.pick("istio-system", "istio-system", "shop", "default"), c.pick("one", "two", "one-cacert"), "")
	p := certificates()[c.IntN(3)]
	encoded := base64.StdEncoding.EncodeToString
	switch c.IntN(8) {
	case 0:
		return meta + "type: kubernetes.io/tls\ndata: {tls.crt: eHh4, tls.key: eHh4}\n", false
	case 1:
		return meta + "type: Opaque\ndata: {password: eHh4}\n", true
	case 2:
		return meta + "data: {ca.crt: " + encoded(p.certificate) + "}\n", true
	case 3:
		return meta + "data: {tls.crt: " + encoded(p.certificate) + ", tls.key: " + encoded(p.key) + ", ca.crt: " + encoded(p.certificate) + "}\n", true
	}
	return meta + "type: kubernetes.io/tls\ndata: {tls.crt: " + encoded(p.certificate) + ", tls.key: " + encoded(p.key) + "}\n", true
}

// holdsTLS says whether a Secret holds something of TLS.
func holdsTLS(o *config.Object) bool { return strings.Contains(string(o.Text()), ".crt: ") }

// pair is a certificate with its key.
type pair struct{ certificate, key []byte }

// certificates are one that lasts, one that ends soon, and one that has ended.
var certificates = sync.OnceValue(func() (out [3]pair) {
	for i, ends := range []time.Time{changesTime.AddDate(1, 0, 0), changesTime.AddDate(0, 0, 3), changesTime.AddDate(0, 0, -3)} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"a.example.com"},
			NotBefore: changesTime.AddDate(-1, 0, 0), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			panic(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err)
		}
		out[i] = pair{
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		}
	}
	return out
})

// ingress writes an Ingress.
func (c changer) ingress() (string, bool) {
	var annotations strings.Builder
	for _, a := range []string{
		`limit-rps: "10"`, `ssl-redirect: "false"`, `force-ssl-redirect: "true"`, `rewrite-target: /x`, `proxy-connect-timeout: "3"`, `affinity: cookie`, `from-to-www-redirect: "true"`,
		`server-alias: alias.example.com`, `auth-tls-secret: one`, `auth-tls-verify-client: optional`, `ssl-passthrough: "true"`, `auth-url: http://x`, `backend-protocol: GRPC`,
		`canary: "true"`, `canary-weight: "30"`, `app-root: /root`, `upstream-vhost: inner`, `unheard-of: z`, `enable-cors: "true"`, `use-regex: "true"`,
	} {
		if c.oneIn(10) {
			fmt.Fprintf(&annotations, "    nginx.ingress.kubernetes.io/%s\n", a)
		}
	}
	var b strings.Builder
	b.WriteString(c.meta("networking.k8s.io/v1", "Ingress", c.pick("default", "shop"), c.name()+c.pick("", "1", "2"), "  annotations:\n    x: z\n"+annotations.String()))
	if c.oneIn(12) {
		return b.String() + "spec: 7\n", false
	}
	b.WriteString("spec:\n" + c.pick("  ingressClassName: sluice\n", "  ingressClassName: sluice\n", "  ingressClassName: sluice\n", "  ingressClassName: edge\n", "  ingressClassName: other\n", ""))
	if c.oneIn(5) {
		b.WriteString("  defaultBackend: {service: {name: c, port: {number: 80}}}\n")
	}
	if c.oneIn(2) {
		fmt.Fprintf(&b, "  tls:\n  - {hosts: [%q], secretName: %s}\n", c.pick("a.example.com", "b.example.com", "*.example.com", "c.example.com", "www.a.example.com"), c.pick("one", "two"))
	}
	if c.oneIn(8) {
		return b.String(), true
	}
	b.WriteString("  rules:\n")
	for range 1 + c.IntN(2) {
		fmt.Fprintf(&b, "  - host: %q\n    http:\n      paths:\n", c.pick("a.example.com", "b.example.com", "*.example.com", "any.example.com", "", "c.example.com"))
		for range 1 + c.IntN(2) {
			fmt.Fprintf(&b, "      - {path: %s, pathType: %s, backend: {service: {name: %s, port: {%s}}}}\n",
				c.pick("/", "/a", "/b", "/a/b"), c.pick("Exact", "Prefix"), c.name(), c.pick("number: 80", "name: http", "name: web"))
		}
	}
	return b.String(), true
}
