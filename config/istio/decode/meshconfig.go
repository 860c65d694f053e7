package decode

import (
	"errors"

	"go.yaml.in/yaml/v3"
	mesh "istio.io/api/mesh/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
)

// MeshConfigName is the name of the ConfigMap that holds the mesh's configuration, under the
// key "mesh" (Istio's installation).
const MeshConfigName = "istio"

// meshField is where a ConfigMap has the mesh's configuration.
const meshField = "data.mesh"

// isMeshConfig tells the mesh's configuration from other ConfigMaps, which are nobody's
// business here. Its namespace is for those to look at who know the root namespace.
func isMeshConfig(o *config.Object) bool {
	return o.Group == "" && o.Kind == "ConfigMap" && o.Name == MeshConfigName
}

// MeshText returns the mesh's configuration of a ConfigMap as an object of its own, whose lines
// are those of the file; nil where it has none.
func MeshText(o *config.Object) *config.Object {
	root, err := manifest.Parse(o.Text())
	if err != nil {
		return nil
	}
	text := manifest.Field(manifest.Field(root, "data"), "mesh")
	if text == nil || text.Kind != yaml.ScalarNode || isNull(text) {
		return nil
	}
	inner := &config.Object{Key: o.Key, File: o.File, Line: o.Line, Source: config.Plain(text.Value)}
	if inner.Line > 0 {
		inner.Line += text.Line
		if text.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			inner.Line-- // it begins beside its key
		}
	}
	return inner
}

// meshConfig reads the text under the key "mesh". A ConfigMap without one is an empty
// configuration.
func (d *decoder) meshConfig(root *yaml.Node) any {
	out := &mesh.MeshConfig{}
	text := manifest.Field(manifest.Field(root, "data"), "mesh")
	if text == nil || isNull(text) {
		return out
	}
	var none *config.Path
	at := none.Field("data").Field("mesh")
	if text.Kind != yaml.ScalarNode {
		d.bad(text, at, "must be the configuration as text: write \"mesh: |\" before it")
		return nil
	}
	inner := MeshText(d.object)
	within := decoder{object: inner, base: at}
	node, err := manifest.Parse(inner.Text())
	switch {
	case err != nil:
		d.unreadable(inner, err)
		return nil
	case node == nil || isNull(node):
		return out
	}
	within.spec(out, node)
	d.conditions = append(d.conditions, within.conditions...)
	d.failed = d.failed || within.failed
	return out
}

// unreadable says why the mesh's configuration is no YAML.
func (d *decoder) unreadable(inner *config.Object, err error) {
	d.failed = true
	c := config.Condition{Severity: config.Error, Reason: config.BadYAML, Field: meshField, Message: err.Error()}
	if e := (*manifest.Error)(nil); errors.As(err, &e) {
		c.Message = e.Message
		if inner.Line > 0 {
			c.Line = inner.Line + max(e.Line, 1) - 1
		}
	}
	d.conditions = append(d.conditions, c)
}
