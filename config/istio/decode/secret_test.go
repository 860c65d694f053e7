package decode

import (
	"maps"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: ns}\n"
	tests := map[string]struct {
		text   string
		data   map[string]string
		string map[string]string
		// field and message are those of the only condition.
		field, message string
	}{
		"data":            {text: "data: {a: aGVsbG8=}", data: map[string]string{"a": "hello"}},
		"lines of base64": {text: "data:\n  a: |\n    aGVs\n    bG8=\n", data: map[string]string{"a": "hello"}},
		"both":            {text: "data: {a: aGVsbG8=}\nstringData: {b: hello}", data: map[string]string{"a": "hello"}, string: map[string]string{"b": "hello"}},
		"nothing":         {text: "data:\nstringData: {a: null}\nimmutable: true\n"},
		"empty":           {text: "data: {a: \"\"}", data: map[string]string{"a": ""}},
		"helm":            {text: "type: helm.sh/release.v1\ndata: {release: \"!\"}"},
		"token":           {text: "type: kubernetes.io/service-account-token\ndata: {ca.crt: \"!\"}"},
		"not base64":      {text: "data: {tls.key: geheim!}", field: "data[tls.key]", message: "is not base64"},
		"a number":        {text: "data: {a: 1234}", field: "data[a]", message: "must be a string"},
		"a list":          {text: "stringData: {a: [geheim]}", field: "stringData[a]", message: "must be a string"},
		"no mapping":      {text: "stringData: geheim", field: "stringData", message: "must be a mapping"},
		"misspelt":        {text: "stringdata: {a: geheim}", field: "stringdata", message: "did you mean stringData?"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			typed, conditions := Decode(object(t, head+tt.text))
			if tt.field != "" {
				if len(conditions) != 1 || conditions[0].Field != tt.field || !strings.Contains(conditions[0].Message, tt.message) || strings.Contains(conditions[0].String(), "geheim") {
					t.Errorf("got %v", conditions)
				}
				if failed := conditions[0].Severity == config.Error; failed != (typed == nil) {
					t.Errorf("got %T and %v", typed, conditions)
				}
				return
			}
			s, ok := typed.(*kube.Secret)
			if !ok || len(conditions) > 0 {
				t.Fatalf("got %T, %v", typed, conditions)
			}
			data := map[string]string{}
			for k, v := range s.Data {
				data[k] = string(v)
			}
			if s.Name != "x" || s.Namespace != "ns" || !maps.Equal(data, tt.data) || !maps.Equal(s.StringData, tt.string) {
				t.Errorf("got %v with %v, %v", s.ObjectMeta, data, s.StringData)
			}
		})
	}
}
