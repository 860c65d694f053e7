package decode

import (
	"encoding/base64"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
	"github.com/sluicegate/sluice/config/istio/kube"
)

// Types of Secrets that hold no certificates, and of which a cluster has many (Istio leaves
// them out too).
const (
	helmRelease         = "helm.sh/release.v1"
	serviceAccountToken = "kubernetes.io/service-account-token"
)

var secretFields = []string{"apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable"}

// secret reads a Secret. Its values are read here, and not by Kubernetes' decoder, so that a
// condition names the key at fault and never holds anything of a value.
func (d *decoder) secret(root *yaml.Node) *kube.Secret {
	s := &kube.Secret{
		TypeMeta:   kube.TypeMeta{Kind: "Secret", APIVersion: "v1"},
		ObjectMeta: kube.ObjectMeta{Name: d.object.Name, Namespace: d.object.Namespace},
	}
	var at *config.Path
	d.known(root, nil, secretFields)
	if n := manifest.Field(root, "type"); n != nil && n.Kind == yaml.ScalarNode {
		s.Type = strings.Clone(n.Value)
	}
	if s.Type == helmRelease || s.Type == serviceAccountToken {
		return s
	}
	d.values(manifest.Field(root, "data"), at.Field("data"), func(key, text string, n *yaml.Node, at *config.Path) {
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			d.bad(n, at, "is not base64: write what `base64 -w0 FILE` prints, or write the text itself under stringData")
			return
		}
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[key] = value
	})
	d.values(manifest.Field(root, "stringData"), at.Field("stringData"), func(key, text string, _ *yaml.Node, _ *config.Path) {
		if s.StringData == nil {
			s.StringData = map[string]string{}
		}
		s.StringData[key] = text
	})
	return s
}

// values calls take for each pair of a mapping from names to strings.
func (d *decoder) values(n *yaml.Node, at *config.Path, take func(key, text string, n *yaml.Node, at *config.Path)) {
	if n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "must be a mapping from names to strings")
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		kind, text := manifest.Scalar(value)
		switch {
		case isNull(value):
		case value.Kind != yaml.ScalarNode || kind != manifest.String:
			d.bad(value, at.Key(key.Value), "must be a string: put it in quotes")
		default:
			take(strings.Clone(key.Value), strings.Clone(text), value, at.Key(key.Value))
		}
	}
}
