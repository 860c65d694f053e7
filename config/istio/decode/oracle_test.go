package decode

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	kubeyaml "sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// agree holds that we read text as Istio's own types read it, through the YAML
// library of kubectl: both refuse it, or both make the same of it.
func agree(t *testing.T, kind, text string) {
	t.Helper()
	newObject := istioKinds[kind]
	oracle, _, _, want := newObject()
	oracleErr := kubeyaml.Unmarshal([]byte(text), oracle)
	o := &config.Object{Key: config.Key{Group: istioNetworking, Kind: kind, Name: "x"}, Version: "v1", Source: config.Plain(text), Line: 1}
	typed, conditions := Decode(o)
	for _, c := range conditions {
		// Where we are stricter, or say that something is ambiguous.
		if c.Reason == FieldTwice || c.Reason == config.BadYAML || strings.Contains(c.Message, "is not one of its choices") && oracleErr == nil {
			return
		}
	}
	root, err := manifest.Parse([]byte(text))
	if err != nil || oddKeys(root) || len(root.Content) != 2 || manifest.Field(root, "spec") == nil {
		return // nothing but the spec is compared
	}
	if typed == nil {
		if oracleErr == nil && !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
			t.Errorf("Istio takes it, we don't: %v\n%s", conditions, text)
		}
		return
	}
	if oracleErr != nil && strings.Contains(oracleErr.Error(), "cannot unmarshal number") {
		return // a whole number in quotes, written "1.0" or "1e3": there we are less strict
	}
	if oracleErr != nil {
		t.Errorf("Istio refuses it, we don't: %v\n%s", oracleErr, text)
		return
	}
	if got := specOf(typed); !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v\n%s", got, want, text)
	}
}

// oddKeys reports whether a key under n is an unquoted number or boolean: kubectl
// turns "on" into "true" and "0x10" into "16", we leave keys as they are written.
func oddKeys(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if kind, _ := manifest.Scalar(child); kind != manifest.String || child.Style&yaml.TaggedStyle != 0 {
				return true
			}
		}
		if oddKeys(child) {
			return true
		}
	}
	return false
}

func specOf(typed any) proto.Message {
	switch o := typed.(type) {
	case *resource.Gateway:
		return &o.Spec
	case *resource.VirtualService:
		return &o.Spec
	case *resource.DestinationRule:
		return &o.Spec
	case *resource.ServiceEntry:
		return &o.Spec
	case *resource.WorkloadEntry:
		return &o.Spec
	case *resource.Sidecar:
		return &o.Spec
	}
	return nil
}

var oracleSpecs = map[string][]string{
	"Gateway": {
		"{selector: {a: b}, servers: [{port: {number: '80', name: http, protocol: HTTP}, hosts: ['*'], tls: {mode: 1, minProtocolVersion: TLSV1_2, insecureSkipVerify: false}}]}",
		"{servers: [{port: {number: 80.0, targetPort: 1e2}, hosts: [n]}]}",
	},
	"VirtualService": {
		"{hosts: [a], http: [{timeout: 1h30m, match: [{uri: {regex: a}, headers: {x: {}, z: null}, port: 0x50}], route: [{weight: 010}, null]}]}",
		"{http: [{retries: {attempts: 3, retryRemoteLocalities: yes}, fault: {abort: {percentage: {value: 1e-3}}}, timeout: null, mirrorPercent: 5, directResponse: {body: {bytes: aGk=}}}]}",
		"{http: [{timeout: -1.5s, match: [{sourceLabels: {a: null}}]}], tcp: [{match: [{port: ''}]}]}",
		"{hosts: [null, b], exportTo: ['1']}", "{hosts: {}}", "{hosts: null, http: {}}", "[]", "a", "null",
		"{http: [{directResponse: {body: {bytes: '***'}}}]}", "{http: [{weight: 1}, [] ]}",
	},
	"DestinationRule": {
		"{host: a, trafficPolicy: {loadBalancer: {consistentHash: {minimumRingSize: 18446744073709551615}}, outlierDetection: {consecutive5xxErrors: 5, outlierDetectionHttpErrorCodes: ['1', 2]}}}",
		"{host: a, trafficPolicy: {outlierDetection: {consecutive_5xx_errors: 5}, loadBalancer: {warmup: {aggression: '1.5'}, simple: 3}}}",
		"{host: yes}", "{host: ~}", "{subsets: [{labels: {a: 1}}]}", "{trafficPolicy: {loadBalancer: {simple: round_robin}}}", "{trafficPolicy: {connectionPool: {http: {useClientProtocol: on}}}}",
	},
	"ServiceEntry":  {"{hosts: [a], endpoints: [{ports: {a: 1, b: '2'}, address: 1.1.1.1}], resolution: STATIC}", "{endpoints: [{ports: {a: null}}]}", "{ports: [{number: 4294967296}]}"},
	"WorkloadEntry": {"{address: a, weight: 5, locality: a/b}"},
	"Sidecar":       {"{egress: [{captureMode: NONE, port: {number: 1}}], outboundTrafficPolicy: {mode: ALLOW_ANY}}"},
}

func TestDecodeAsIstioDoes(t *testing.T) {
	t.Parallel()
	for kind, specs := range oracleSpecs {
		for _, spec := range specs {
			agree(t, kind, "spec: "+spec+"\n")
		}
	}
}

func FuzzDecode(f *testing.F) {
	kinds := []string{"Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Sidecar"}
	for i, kind := range kinds {
		for _, spec := range oracleSpecs[kind] {
			f.Add(byte(i), "spec: "+spec+"\n")
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		agree(t, kinds[int(kind)%len(kinds)], text)
	})
}
