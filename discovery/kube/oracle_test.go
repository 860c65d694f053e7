package kube

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sluicegate/sluice/config/istio/decode"
	istiokube "github.com/sluicegate/sluice/config/istio/kube"
)

// TestReadsAsKubernetes: what arrives at the compiler of Services and EndpointSlices, trimmed and
// decoded by code of our own, is what Kubernetes' own types say.
func TestReadsAsKubernetes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 500 {
		slice := randomSlice(random, n)
		got := arrive(t, "EndpointSlice", slice).(*istiokube.EndpointSlice)
		if want := expectedSlice(slice); !reflect.DeepEqual(got.Endpoints, want.Endpoints) || !reflect.DeepEqual(got.Ports, want.Ports) ||
			got.AddressType != want.AddressType || !reflect.DeepEqual(got.Labels, slice.Labels) || got.Name != slice.Name || got.CreationTimestamp.Unix() != slice.CreationTimestamp.Unix() {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		service := randomService(random, n)
		arrived := arrive(t, "Service", service).(*istiokube.Service)
		if want := expectedService(service); !reflect.DeepEqual(arrived.Spec, want) || !reflect.DeepEqual(arrived.Labels, service.Labels) || !reflect.DeepEqual(arrived.Annotations, service.Annotations) {
			t.Fatalf("got  %+v\nwant %+v", arrived.Spec, want)
		}
	}
}

// arrive sends an object the way that all objects go, from an API server to the compiler.
func arrive(t *testing.T, kind string, object any) any {
	t.Helper()
	text, err := json.Marshal(object)
	must(t, err)
	for _, r := range resources {
		if r.kind == kind {
			i, err := newReader(r, "v1").read(text)
			must(t, err)
			typed, conditions := decode.Decode(i.object)
			if len(conditions) > 0 {
				t.Fatalf("%v of %s", conditions, text)
			}
			return typed
		}
	}
	t.Fatalf("no resource of kind %s", kind)
	return nil
}

// some returns a pointer to a value, or none.
func some[T any](random *rand.Rand, value T) *T {
	if random.IntN(3) == 0 {
		return nil
	}
	return &value
}

var words = []string{"", "a", "web", "zone-1", "ü", "a\"b", "<&>", "back\\slash", "line\nbreak", "\u2028"}

func word(random *rand.Rand) string { return words[random.IntN(len(words))] }

func randomMeta(random *rand.Rand, n int) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Name: fmt.Sprint("web-", n), Namespace: "shop", UID: "1", ResourceVersion: "2", GenerateName: word(random),
		CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000+int64(n), 0).UTC()),
		ManagedFields:     []metav1.ManagedFieldsEntry{{Manager: word(random), FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{".":{}}}}`)}},
	}
	if random.IntN(3) > 0 {
		m.Labels = map[string]string{"kubernetes.io/service-name": "web", "a": word(random)}
		m.Annotations = map[string]string{"b": word(random)}
	}
	return m
}

func randomSlice(random *rand.Rand, n int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: randomMeta(random, n), AddressType: discoveryv1.AddressTypeIPv4}
	s.Kind, s.APIVersion = "EndpointSlice", "discovery.k8s.io/v1"
	for range random.IntN(4) {
		protocol := corev1.ProtocolTCP
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: some(random, word(random)), Port: some(random, random.Int32N(65536)), Protocol: some(random, protocol), AppProtocol: some(random, word(random))})
	}
	for i := range random.IntN(5) {
		e := discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.1.2.%d", i)},
			Conditions: discoveryv1.EndpointConditions{Ready: some(random, i%2 == 0), Serving: some(random, true), Terminating: some(random, false)},
			NodeName:   some(random, word(random)), Zone: some(random, word(random)), Hostname: some(random, "h"),
			DeprecatedTopology: map[string]string{"a": word(random)},
		}
		if random.IntN(2) == 0 {
			e.Addresses = append(e.Addresses, "10.9.9.9")
			e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: word(random), Name: word(random), UID: "3"}
			e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: word(random)}}}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

func expectedSlice(s *discoveryv1.EndpointSlice) *istiokube.EndpointSlice {
	out := &istiokube.EndpointSlice{AddressType: istiokube.AddressType(s.AddressType)}
	for _, p := range s.Ports {
		out.Ports = append(out.Ports, istiokube.SlicePort{Name: p.Name, Port: p.Port, Protocol: (*string)(p.Protocol), AppProtocol: p.AppProtocol})
	}
	for _, e := range s.Endpoints {
		to := istiokube.Endpoint{Addresses: e.Addresses, Zone: e.Zone, Conditions: istiokube.EndpointConditions(e.Conditions)}
		if r := e.TargetRef; r != nil {
			to.TargetRef = &istiokube.ObjectReference{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
		}
		out.Endpoints = append(out.Endpoints, to)
	}
	return out
}

func randomService(random *rand.Rand, n int) *corev1.Service {
	s := &corev1.Service{ObjectMeta: randomMeta(random, n)}
	s.Kind, s.APIVersion = "Service", "v1"
	s.Spec = corev1.ServiceSpec{
		ClusterIP: word(random), ClusterIPs: []string{"10.96.0.1"}, Type: corev1.ServiceTypeClusterIP, ExternalName: word(random), PublishNotReadyAddresses: random.IntN(2) == 0,
		SessionAffinity: corev1.ServiceAffinityNone, ExternalIPs: []string{"1.1.1.1"}, InternalTrafficPolicy: some(random, corev1.ServiceInternalTrafficPolicyLocal),
	}
	if random.IntN(2) == 0 {
		s.Spec.Selector = map[string]string{"app": word(random), word(random): "x"}
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	}
	for range random.IntN(4) {
		target := intstr.FromInt32(random.Int32N(65536))
		if random.IntN(2) == 0 {
			target = intstr.FromString("p" + word(random))
		}
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: word(random), Protocol: corev1.ProtocolTCP, AppProtocol: some(random, word(random)), Port: random.Int32N(65536), TargetPort: target, NodePort: random.Int32N(32768),
		})
	}
	return s
}

func expectedService(s *corev1.Service) istiokube.ServiceSpec {
	out := istiokube.ServiceSpec{
		Selector: s.Spec.Selector, ClusterIP: s.Spec.ClusterIP, Type: string(s.Spec.Type), ExternalName: s.Spec.ExternalName, PublishNotReadyAddresses: s.Spec.PublishNotReadyAddresses,
	}
	for _, f := range s.Spec.IPFamilies {
		out.IPFamilies = append(out.IPFamilies, string(f))
	}
	for _, p := range s.Spec.Ports {
		out.Ports = append(out.Ports, istiokube.ServicePort{
			Name: p.Name, Protocol: string(p.Protocol), AppProtocol: p.AppProtocol, Port: p.Port, NodePort: p.NodePort,
			TargetPort: istiokube.IntOrString{IntVal: p.TargetPort.IntVal, StrVal: p.TargetPort.StrVal},
		})
	}
	return out
}
