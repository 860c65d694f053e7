package decode

import (
	"encoding/json"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/jsonscan"
)

// received decodes an object of Kubernetes' own kinds that an API server sent: JSON that it has
// checked, so that nothing has to be looked for in it that people get wrong. It returns nil
// where o is no such object or cannot be decoded like that, which is then for others to say.
//
// What o has beside its manifest (labels, annotations) is shared with it, and need not be in the
// manifest.
func received(o *config.Object) any {
	newObject, ok := kubernetesKinds[groupKind{o.Group, o.Kind}]
	if !ok || o.File != "" || o.Version != "v1" {
		return nil
	}
	text := o.Text()
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	object, meta := newObject()
	if !quickly(object, text) {
		if object, meta = newObject(); json.Unmarshal(text, object) != nil {
			return nil
		}
	}
	meta.Name, meta.Namespace = o.Name, o.Namespace
	meta.Labels, meta.Annotations = o.Labels, o.Annotations
	meta.CreationTimestamp.Time = o.Created.Time()
	return object
}

// quickly reads the kinds of which there are most. It returns false where it cannot: then the
// object is spoilt.
func quickly(object any, manifest []byte) bool {
	q := quick{jsonscan.Scan{Text: manifest}}
	switch object := object.(type) {
	case *kube.Service:
		return q.service(object)
	case *kube.EndpointSlice:
		return q.slice(object)
	}
	return false
}
