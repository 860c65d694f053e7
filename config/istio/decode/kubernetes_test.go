package decode

import (
	"testing"

	"github.com/sluicegate/sluice/config"
)

// FuzzDecodeKubernetes holds that nothing panics, and that an object comes back
// unless an Error says why not.
func FuzzDecodeKubernetes(f *testing.F) {
	kinds := []groupKind{{"", "Service"}, {"", "Endpoints"}, {"", "Pod"}, {"", "Namespace"}, {endpointSlices, "EndpointSlice"}}
	f.Add(byte(0), "spec: {ports: [{port: 80, targetPort: http}], selector: {a: b}, type: NodePort}\n")
	f.Add(byte(1), "subsets: [{addresses: [{ip: 1.1.1.1}], ports: [{port: 80}]}]\n")
	f.Add(byte(2), "metadata: {labels: {a: 1}}\nspec: {containers: []}\n")
	f.Add(byte(3), "metadata: {creationTimestamp: x}\n")
	f.Add(byte(4), "endpoints: [{addresses: [a], conditions: {ready: yes}}]\nports: [{port: 1e9}]\n")
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		k := kinds[int(kind)%len(kinds)]
		typed, conditions := Decode(&config.Object{Key: config.Key{Group: k.group, Kind: k.kind, Name: "x"}, Version: "v1", Source: config.Plain(text), Line: 1})
		failed := false
		for _, c := range conditions {
			if c.Message == "" || c.Line < 1 {
				t.Fatalf("%+v", c)
			}
			failed = failed || c.Severity == config.Error
		}
		if failed != (typed == nil) {
			t.Fatalf("object %v, conditions %v", typed, conditions)
		}
	})
}
