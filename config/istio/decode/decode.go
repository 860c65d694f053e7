package decode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
	"github.com/sluicegate/sluice/config/istio/kube"
)

// Decode returns o as the Go type of its kind: *resource.Gateway,
// VirtualService, DestinationRule, ServiceEntry, WorkloadEntry or Sidecar;
// *resource.Telemetry; *meshv1alpha1.MeshConfig of the ConfigMap called istio;
// *kube.Service, Endpoints, Pod, Secret, Namespace or Node; *kube.EndpointSlice. Status is left
// out of Istio's kinds, and the values of Secrets of types that hold no certificates.
//
// It returns nil where one of the conditions is an Error, and for kinds that are not
// decoded: those get a condition where their author would expect an effect. The
// conditions carry o's key, file and lines. What comes back may share o's labels and parts of
// its manifest. Decode may run on many goroutines.
func Decode(o *config.Object) (any, []config.Condition) {
	var conditions []config.Condition
	var typed any
	group, versions := istioAPI(o.Kind)
	if newObject, ok := istioKinds[o.Kind]; ok && o.Group == group {
		typed, conditions = decodeWith(o, versions, func(d *decoder, root *yaml.Node) any {
			object, types, meta, spec := newObject()
			*types = kube.TypeMeta{Kind: o.Kind, APIVersion: group + "/v1"}
			*meta = objectMeta(o)
			d.envelope(root, istioFields)
			if n := manifest.Field(root, "spec"); n != nil && !isNull(n) {
				d.spec(spec, n)
			}
			return object
		})
	} else if isMeshConfig(o) {
		typed, conditions = decodeWith(o, []string{"v1"}, func(d *decoder, root *yaml.Node) any { return d.meshConfig(root) })
	} else if o.Group == "" && o.Kind == "Secret" {
		typed, conditions = decodeWith(o, []string{"v1"}, func(d *decoder, root *yaml.Node) any { return d.secret(root) })
	} else if typed = received(o); typed != nil {
		return typed, nil
	} else if newObject, ok := kubernetesKinds[groupKind{o.Group, o.Kind}]; ok {
		typed, conditions = decodeWith(o, []string{"v1"}, func(d *decoder, root *yaml.Node) any {
			object, meta := newObject()
			d.kubernetes(object, root)
			meta.Namespace, meta.Labels, meta.Annotations = o.Namespace, o.Labels, o.Annotations
			return object
		})
	} else {
		conditions = other(o)
	}
	o.Place(conditions)
	return typed, conditions
}

// decodeWith runs decode over o's manifest if o's version is served.
func decodeWith(o *config.Object, served []string, decode func(*decoder, *yaml.Node) any) (any, []config.Condition) {
	if !slices.Contains(served, o.Version) {
		message := fmt.Sprintf("version %q of this kind is not served: write %s", o.Version, strings.Join(served, " or "))
		return nil, []config.Condition{{Severity: config.Error, Reason: UnservedVersion, Field: "apiVersion", Message: message}}
	}
	tree, err := manifest.ParseBriefly(o.Text())
	defer tree.Release()
	root := tree.Root
	if err != nil {
		c := config.Condition{Severity: config.Error, Reason: config.BadYAML, Message: err.Error()}
		if e := (*manifest.Error)(nil); errors.As(err, &e) {
			c.Message = e.Message
			if o.Line > 0 {
				c.Line = o.Line + max(e.Line, 1) - 1
			}
		}
		return nil, []config.Condition{c}
	}
	if root == nil || root.Kind != yaml.MappingNode {
		return nil, []config.Condition{{Severity: config.Error, Reason: config.BadYAML, Message: "the manifest is no object: it must begin with \"apiVersion:\" and \"kind:\""}}
	}
	d := decoder{object: o}
	d.steps = d.room[:0]
	typed := decode(&d, root)
	if d.failed {
		typed = nil
	}
	return typed, d.conditions
}

// decoder collects what is wrong with one object.
type decoder struct {
	object *config.Object
	// base is the path of what is decoded, and steps those from there to where the decoder is.
	base *config.Path
	// steps begin in room, which is enough for most objects.
	steps      []step
	room       [12]step
	conditions []config.Condition
	failed     bool
}

// bad adds an Error about the value n.
func (d *decoder) bad(n *yaml.Node, at *config.Path, format string, args ...any) {
	d.failed = true
	d.add(config.Error, BadValue, n, at, format, args...)
}

func (d *decoder) warn(reason config.Reason, n *yaml.Node, at *config.Path, format string, args ...any) {
	d.add(config.Warning, reason, n, at, format, args...)
}

func (d *decoder) add(severity config.Severity, reason config.Reason, n *yaml.Node, at *config.Path, format string, args ...any) {
	c := config.Condition{Severity: severity, Reason: reason, Field: at.String(), Message: fmt.Sprintf(format, args...)}
	if d.object.Line > 0 {
		c.Line = d.object.Line + n.Line - 1
	}
	d.conditions = append(d.conditions, c)
}

// objectMeta is the metadata of o in Kubernetes' form.
func objectMeta(o *config.Object) kube.ObjectMeta {
	return kube.ObjectMeta{
		Name:              o.Name,
		Namespace:         o.Namespace,
		Labels:            o.Labels,
		Annotations:       o.Annotations,
		CreationTimestamp: kube.Time{Time: o.Created.Time()},
	}
}

var metadataFields = []string{
	"name", "namespace", "labels", "annotations", "creationTimestamp", "generateName", "uid", "resourceVersion", "generation", "selfLink",
	"deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers", "managedFields", "clusterName",
}

var istioFields = []string{"apiVersion", "kind", "metadata", "spec", "status"}

// envelope warns of fields, and of fields in the metadata, that no object has.
func (d *decoder) envelope(root *yaml.Node, fields []string) {
	d.known(root, nil, fields)
	var none *config.Path
	d.known(manifest.Field(root, "metadata"), none.Field("metadata"), metadataFields)
}

func (d *decoder) known(n *yaml.Node, at *config.Path, fields []string) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(fields, key.Value) {
			d.unknown(key, at.Field(key.Value), fields)
		}
	}
}

// unknown warns of a field that is none of those that may stand there.
func (d *decoder) unknown(key *yaml.Node, at *config.Path, fields []string) {
	if near := nearest(key.Value, fields); near != "" {
		d.warn(UnknownField, key, at, "unknown field, without effect: did you mean %s?", near)
		return
	}
	d.warn(UnknownField, key, at, "unknown field, without effect: remove it")
}

func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	kind, _ := manifest.Scalar(n)
	return kind == manifest.Null
}
