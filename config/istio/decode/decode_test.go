package decode

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// object parses text as one object that stands in a file.
func object(t testing.TB, text string) *config.Object {
	t.Helper()
	documents := config.SplitDocuments([]byte(text))
	if len(documents) != 1 {
		t.Fatalf("%d documents", len(documents))
	}
	objects, conditions := config.ParseObjects(documents[0], "f.yaml")
	if len(objects) != 1 || len(conditions) != 0 {
		t.Fatalf("got %v, %v", objects, conditions)
	}
	return objects[0]
}

// istioObject writes an object of networking.istio.io whose spec starts on line 4.
func istioObject(kind, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata: {name: x}\nspec:\n" + spec
}

func TestDecodeKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		apiVersion, kind, body string
		check                  func(any) bool
	}{
		{"networking.istio.io/v1alpha3", "Gateway", "spec: {selector: {istio: gw}, servers: [{hosts: [a]}]}", func(v any) bool {
			g, ok := v.(*resource.Gateway)
			return ok && g.Spec.Selector["istio"] == "gw" && g.Spec.Servers[0].Hosts[0] == "a" && g.APIVersion == "networking.istio.io/v1"
		}},
		{"networking.istio.io/v1beta1", "VirtualService", "spec: {hosts: [a], http: [{timeout: 1m, route: [{destination: {host: b}}]}]}", func(v any) bool {
			s, ok := v.(*resource.VirtualService)
			return ok && s.Spec.Http[0].Timeout.AsDuration() == time.Minute && s.Name == "x" && s.Namespace == "n1" && s.Labels["a"] == "b" && !s.CreationTimestamp.IsZero()
		}},
		{"networking.istio.io/v1", "DestinationRule", "spec: {host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}}", func(v any) bool {
			r, ok := v.(*resource.DestinationRule)
			return ok && r.Spec.TrafficPolicy.LoadBalancer.GetSimple().String() == "RANDOM"
		}},
		{"networking.istio.io/v1", "ServiceEntry", "spec: {hosts: [a.com], resolution: DNS}\nstatus: {addresses: [{value: 1.1.1.1}], nonsense: 1}", func(v any) bool {
			s, ok := v.(*resource.ServiceEntry)
			return ok && s.Spec.Resolution.String() == "DNS"
		}},
		{"networking.istio.io/v1", "WorkloadEntry", "spec: {address: 1.1.1.1, ports: {http: 80}, weight: 2}", func(v any) bool {
			w, ok := v.(*resource.WorkloadEntry)
			return ok && w.Spec.Ports["http"] == 80 && w.Spec.Weight == 2
		}},
		{"networking.istio.io/v1", "Sidecar", "spec: {egress: [{hosts: [./*]}]}", func(v any) bool {
			s, ok := v.(*resource.Sidecar)
			return ok && s.Spec.Egress[0].Hosts[0] == "./*"
		}},
		{"networking.istio.io/v1", "Gateway", "", func(v any) bool { return len(v.(*resource.Gateway).Spec.Servers) == 0 }},
		{"v1", "Service", "spec: {ports: [{port: 80, targetPort: http}], selector: {app: a}}", func(v any) bool {
			s, ok := v.(*kube.Service)
			return ok && s.Spec.Ports[0].Port == 80 && s.Spec.Ports[0].TargetPort.StrVal == "http" && s.Namespace == "n1"
		}},
		{"v1", "Endpoints", "subsets: [{addresses: [{ip: 1.1.1.1}], ports: [{port: 80}]}]", func(v any) bool {
			//lint:ignore SA1019 see kind.go
			e, ok := v.(*kube.Endpoints)
			return ok && e.Subsets[0].Addresses[0].IP == "1.1.1.1"
		}},
		{"v1", "Pod", "spec: {containers: [{name: a, brandNewField: 1}]}\nstatus: {podIP: 1.1.1.1}", func(v any) bool {
			p, ok := v.(*kube.Pod)
			return ok && p.Status.PodIP == "1.1.1.1" && p.Labels["a"] == "b"
		}},
		{"v1", "Namespace", "", func(v any) bool { n, ok := v.(*kube.Namespace); return ok && n.Namespace == "" }},
		{"discovery.k8s.io/v1", "EndpointSlice", "addressType: IPv4\nendpoints: [{addresses: [1.1.1.1]}]", func(v any) bool {
			e, ok := v.(*kube.EndpointSlice)
			return ok && e.Endpoints[0].Addresses[0] == "1.1.1.1"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.kind+" "+tt.apiVersion, func(t *testing.T) {
			t.Parallel()
			typed, conditions := Decode(object(t, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: x, namespace: n1, labels: {a: b}, creationTimestamp: 2024-01-01T00:00:00Z}\n%s\n", tt.apiVersion, tt.kind, tt.body)))
			if len(conditions) > 0 {
				t.Errorf("conditions: %v", conditions)
			}
			if !tt.check(typed) {
				t.Errorf("got %v", typed)
			}
		})
	}
}

func TestDecodeConditions(t *testing.T) {
	t.Parallel()
	const vs, dr = "VirtualService", "DestinationRule"
	tests := []struct {
		name, kind, spec string
		// want is severity, line, field and a part of the message of each condition.
		want []string
	}{
		{"unknown field", vs, "  hosts: [a]\n  htttp: []\n", []string{"Warning 6 htttp|did you mean http?"}},
		{"unknown field, deep", vs, "  http:\n  - route:\n    - destination:\n        hots: a\n        zzzzzzzz: 1\n",
			[]string{"Warning 8 http[0].route[0].destination.hots|did you mean host?", "Warning 9 http[0].route[0].destination.zzzzzzzz|remove it"}},
		{"unknown beside spec", vs, "  hosts: [a]\nsepc: {}\n", []string{"Warning 6 sepc|did you mean spec?"}},
		{"upper case", vs, "  Hosts: [a]\n", []string{"Warning 5 Hosts|did you mean hosts?"}},
		{"a string for a list", vs, "  hosts: a.com\n", []string{"Error 5 hosts|write [a.com]"}},
		{"a mapping for a list", vs, "  http:\n    route: []\n", []string{`Error 6 http|put "- " before`}},
		{"a list for a mapping", dr, "  trafficPolicy: []\n", []string{"Error 5 trafficPolicy|not a list"}},
		{"a word for a mapping", dr, "  trafficPolicy: yes\n", []string{"Error 5 trafficPolicy|not a boolean"}},
		{"number without unit", vs, "  http:\n  - timeout: 5\n", []string{"Error 6 http[0].timeout|such as 5s or 5ms"}},
		{"bad duration", vs, "  http:\n  - timeout: soon\n", []string{"Error 6 http[0].timeout|1.5s or 1m"}},
		{"number for a string", dr, "  host: 5\n", []string{`Error 5 host|write "5"`}},
		{"boolean for a string", vs, "  http:\n  - delegate:\n      namespace: n\n", []string{`Error 7 http[0].delegate.namespace|write "n"`}},
		{"number in labels", dr, "  subsets:\n  - labels: {version: 1.0}\n", []string{`Error 6 subsets[0].labels[version]|write "1.0"`}},
		{"quoted boolean", dr, "  trafficPolicy: {connectionPool: {http: {useClientProtocol: 'true'}}}\n", []string{"Error 5 trafficPolicy.connectionPool.http.useClientProtocol|without quotes"}},
		{"enum", dr, "  trafficPolicy:\n    loadBalancer:\n      simple: ROUNDROBIN\n", []string{"Error 7 trafficPolicy.loadBalancer.simple|did you mean ROUND_ROBIN?"}},
		{"enum, nothing near", dr, "  trafficPolicy: {tls: {mode: QQQQQQQQQQQQ}}\n", []string{"Error 5 trafficPolicy.tls.mode|write one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL"}},
		{"negative for unsigned", vs, "  http: [{match: [{port: -1}]}]\n", []string{"Error 5 http[0].match[0].port|from 0 to"}},
		{"decimal for integer", vs, "  http: [{route: [{weight: 1.5}]}]\n", []string{"Error 5 http[0].route[0].weight|whole number"}},
		{"too large", vs, "  http: [{route: [{weight: 3000000000}]}]\n", []string{"Error 5 http[0].route[0].weight|whole number"}},
		{"several errors", vs, "  hosts: a\n  http: b\n", []string{"Error 5 hosts|", "Error 6 http|"}},
		{"gone", vs, "  http:\n  - websocketUpgrade: true\n    append_headers: {a: b}\n",
			[]string{"Warning 6 http[0].websocketUpgrade|need no setting", "Warning 7 http[0].append_headers|use headers.request.add"}},
		{"port by name", vs, "  http: [{route: [{destination: {port: {name: http}}}]}]\n", []string{"Warning 5 http[0].route[0].destination.port.name|use number"}},
		{"abort percent", vs, "  http: [{fault: {abort: {percent: 5}}}]\n", []string{"Warning 5 http[0].fault.abort.percent|use percentage.value"}},
		{"moved", dr, "  trafficPolicy: {outlierDetection: {http: {consecutiveErrors: 5}}}\n", []string{"Warning 5 trafficPolicy.outlierDetection.http|in outlierDetection itself"}},
		{"renamed", vs, "  http: [{route: [{destination: {name: b}}]}]\n", []string{"Warning 5 http[0].route[0].destination.name|use host"}},
		{"both spellings", vs, "  http:\n  - mirrorPercent: 1\n    mirror_percent: 2\n", []string{"Warning 7 http[0].mirrorPercent|keep one"}},
		{"oneof", vs, "  http:\n  - match:\n    - uri:\n        prefix: /a\n        exact: /b\n", []string{"Warning 9 http[0].match[0].uri.exact|prefix counts"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			typed, conditions := Decode(object(t, istioObject(tt.kind, tt.spec)))
			failed := false
			for i, c := range conditions {
				failed = failed || c.Severity == config.Error
				if i >= len(tt.want) {
					t.Errorf("also %v", c)
					continue
				}
				where, what, _ := strings.Cut(tt.want[i], "|")
				if got := fmt.Sprintf("%s %d %s", c.Severity, c.Line, c.Field); got != where || !strings.Contains(c.Message, what) {
					t.Errorf("got %s|%s\nwant %s", got, c.Message, tt.want[i])
				}
				if c.Object.Name != "x" || c.File != "f.yaml" {
					t.Errorf("%+v is not placed", c)
				}
			}
			if len(conditions) < len(tt.want) {
				t.Errorf("got %d conditions, want %v", len(conditions), tt.want)
			}
			if failed != (typed == nil) {
				t.Errorf("failed %v, object %v", failed, typed)
			}
		})
	}
}

func TestDecodeSpellings(t *testing.T) {
	t.Parallel()
	const camel = `
  hosts: [a]
  exportTo: ["."]
  http:
  - match:
    - ignoreUriCase: true
      sourceLabels: {a: b}
      queryParams: {q: {exact: "1"}}
    mirrorPercent: 10
    corsPolicy: {allowOrigin: [x], maxAge: 24h}
    fault:
      abort: {httpStatus: 500, percentage: {value: 50}}
      delay: {fixedDelay: 7s, percent: 10}
    rewrite: {uriRegexRewrite: {match: a, rewrite: b}}
    retries: {perTryTimeout: 2s, retryOn: 5xx, retryRemoteLocalities: true}
    directResponse: {status: 200, body: {bytes: aGk=}}
`
	const snake = `
  hosts: [a]
  export_to: ["."]
  http:
  - match:
    - ignore_uri_case: yes
      source_labels: {a: b}
      query_params: {q: {exact: "1"}}
    mirror_percent: "10"
    cors_policy: {allow_origin: [x], max_age: 86400s}
    fault:
      abort: {http_status: "500", percentage: {value: 5e1}}
      delay: {fixed_delay: 7.0s, percent: 10.0}
    rewrite: {uri_regex_rewrite: {match: a, rewrite: b}}
    retries: {per_try_timeout: 2000ms, retry_on: 5xx, retry_remote_localities: on}
    direct_response: {status: 0xC8, body: {bytes: aGk=}}
`
	a, conditions := Decode(object(t, istioObject("VirtualService", camel)))
	b, more := Decode(object(t, istioObject("VirtualService", snake)))
	if len(conditions)+len(more) > 0 {
		t.Fatal(conditions, more)
	}
	if x, y := &a.(*resource.VirtualService).Spec, &b.(*resource.VirtualService).Spec; !proto.Equal(x, y) {
		t.Errorf("got %v\nand %v", x, y)
	}
}

func TestDecodeOtherKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		apiVersion, kind string
		severity         config.Severity
		reason           config.Reason
		message          string
	}{
		{"networking.istio.io/v1alpha1", "VirtualService", config.Error, UnservedVersion, "v1 or v1beta1 or v1alpha3"},
		{"v2", "Service", config.Error, UnservedVersion, "write v1"},
		{"discovery.k8s.io/v1beta1", "EndpointSlice", config.Error, UnservedVersion, "write v1"},
		{"networking.istio.io/v1", "Virtualservice", config.Error, UnknownKind, "did you mean VirtualService?"},
		{"networking.istio.io", "VirtualService", config.Error, UnknownKind, "write apiVersion: networking.istio.io/v1"},
		{"networking.istio.oi/v1", "Gateway", config.Error, UnknownKind, "write apiVersion: networking.istio.io/v1"},
		{"networking.istio.io/v1", "Zebra", config.Error, UnknownKind, "write one of DestinationRule, Gateway"},
		{"security.istio.io/v1", "AuthorizationPolicy", config.Warning, NotServed, "not enforced"},
		{"security.istio.io/v1", "PeerAuthentication", config.Warning, NotServed, "not enforced"},
		{"security.istio.io/v1beta1", "RequestAuthentication", config.Warning, NotServed, "not checked"},
		{"networking.istio.io/v1alpha3", "EnvoyFilter", config.Warning, NotServed, "no effect"},
		{"telemetry.istio.io", "Telemetry", config.Error, UnknownKind, "write apiVersion: telemetry.istio.io/v1"},
		{"telemetry.istio.io/v1beta1", "Telemetry", config.Error, UnservedVersion, "write v1 or v1alpha1"},
		{"gateway.networking.k8s.io/v1", "Gateway", config.Info, NotServed, "networking.istio.io"},
		{"apps/v1", "Deployment", "", "", ""},
		{"v1", "ServiceAccount", "", "", ""},
		{"v1", "ConfigMap", "", "", ""},
		{"example.com/v1", "VirtualService", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.apiVersion+" "+tt.kind, func(t *testing.T) {
			t.Parallel()
			typed, conditions := Decode(object(t, "apiVersion: "+tt.apiVersion+"\nkind: "+tt.kind+"\nmetadata: {name: x}\nspec: {}\n"))
			if typed != nil {
				t.Errorf("got %T", typed)
			}
			if tt.severity == "" {
				if len(conditions) > 0 {
					t.Errorf("got %v", conditions)
				}
				return
			}
			if len(conditions) != 1 || conditions[0].Severity != tt.severity || conditions[0].Reason != tt.reason || !strings.Contains(conditions[0].Message, tt.message) {
				t.Errorf("got %+v", conditions)
			}
		})
	}
}

func TestDecodeKubernetesConditions(t *testing.T) {
	t.Parallel()
	typed, conditions := Decode(object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports:\n  - port: 80\n    targetport: 8080\n"))
	if typed == nil || len(conditions) != 1 || conditions[0].Field != "spec.ports[0].targetport" || conditions[0].Line != 7 || conditions[0].Severity != config.Warning {
		t.Errorf("got %v, %+v", typed, conditions)
	}
	typed, conditions = Decode(object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports:\n  - port: http\n"))
	if typed != nil || len(conditions) != 1 || conditions[0].Severity != config.Error || conditions[0].Field != "spec.ports.port" || conditions[0].Line != 5 || !strings.Contains(conditions[0].Message, "must be a whole number, not string") {
		t.Errorf("got %v, %+v", typed, conditions)
	}
	typed, conditions = Decode(object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: []\n"))
	if typed != nil || len(conditions) != 1 || conditions[0].Severity != config.Error {
		t.Errorf("got %v, %+v", typed, conditions)
	}
}

func TestDecodeBrokenManifest(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a: [", "a: 1\na: 2\n"} {
		o := &config.Object{Key: config.Key{Group: "networking.istio.io", Kind: "Gateway", Name: "x"}, Version: "v1", Source: config.Plain(text), Line: 3}
		typed, conditions := Decode(o)
		if typed != nil || len(conditions) != 1 || conditions[0].Severity != config.Error || conditions[0].Line < 3 {
			t.Errorf("%q: got %v, %+v", text, typed, conditions)
		}
	}
}

func TestDecodeWithoutLines(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a: [", "spec: {hosts: a, x: 1}"} {
		o := &config.Object{Key: config.Key{Group: "networking.istio.io", Kind: "VirtualService", Name: "x"}, Version: "v1", Source: config.Plain("\n\n" + text)}
		typed, conditions := Decode(o)
		if typed != nil || len(conditions) == 0 {
			t.Fatalf("%q: got %v, %v", text, typed, conditions)
		}
		for _, c := range conditions {
			if c.Line != 0 {
				t.Errorf("%q: %+v", text, c)
			}
		}
	}
}

// TestEveryFieldCanBeRead holds that the kinds have no field of a type that the
// decoder does not know, so that a newer API cannot bring one unnoticed.
func TestEveryFieldCanBeRead(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(message protoreflect.MessageDescriptor) {
		if seen[message.FullName()] || customMessages[message.FullName()] != ordinary {
			return
		}
		seen[message.FullName()] = true
		if strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
			t.Errorf("%s is not read", message.FullName())
		}
		fields := message.Fields()
		if fields.Len() > 64 {
			t.Errorf("%s has %d fields, more than a fieldSet holds", message.FullName(), fields.Len())
		}
		for i := range fields.Len() {
			field := fields.Get(i)
			if field.IsMap() {
				if field.MapKey().Kind() != protoreflect.StringKind {
					t.Errorf("%s has keys that are no strings", field.FullName())
				}
				field = field.MapValue()
			}
			switch kind := field.Kind(); kind {
			case protoreflect.MessageKind:
				walk(field.Message())
			case protoreflect.StringKind, protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.BytesKind, protoreflect.DoubleKind,
				protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind:
			default:
				t.Errorf("%s is %v, which is not read", field.FullName(), kind)
			}
		}
	}
	for _, newObject := range istioKinds {
		_, _, _, spec := newObject()
		walk(spec.ProtoReflect().Descriptor())
	}
	if len(seen) < 60 {
		t.Errorf("walked %d messages only", len(seen))
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"match", "route", "redirect", "rewrite", "retries", "timeout", "mirrorPercentage"}
	for name, want := range map[string]string{
		"matches": "match", "ruote": "route", "re_write": "rewrite", "timout": "timeout", "Mirror_Percentage": "mirrorPercentage", "cors": "", "": "",
		strings.Repeat("x", 1000): "",
	} {
		if got := nearest(name, names); got != want {
			t.Errorf("%.20q: got %q, want %q", name, got, want)
		}
	}
}

// elsewhere keeps the text of an object out of it.
type elsewhere string

func (e elsewhere) Text() []byte { return []byte(e) }

// TestDecodeFetchesTheText holds that objects whose text is kept elsewhere are read like others.
func TestDecodeFetchesTheText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{virtualService, service, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: 'accessLogFile: x'}\n"} {
		o := object(t, text)
		want, _ := Decode(o)
		o.Source = elsewhere(text)
		got, conditions := Decode(o)
		if len(conditions) > 0 || fmt.Sprint(got) != fmt.Sprint(want) || got == nil {
			t.Errorf("got %v, %v\nwant %v", got, conditions, want)
		}
	}
	var kind struct {
		Kind string `json:"kind"`
	}
	o := object(t, service)
	o.Source = elsewhere("kind: Service\n")
	if conditions, ok := Kubernetes(o, []string{"v1"}, &kind); !ok || kind.Kind != "Service" {
		t.Errorf("got %v, %v", kind, conditions)
	}
}
