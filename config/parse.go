package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unique"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config/internal/manifest"
)

const (
	// BadYAML: the document cannot be read as YAML or JSON.
	BadYAML Reason = "BadYAML"
	// BadMetadata: what makes a document an object (apiVersion, kind, name, labels)
	// is missing or has the wrong type.
	BadMetadata Reason = "BadMetadata"
)

// ParseObjects returns the objects of one document and what is wrong with it. An
// object with an Error among its conditions is left out; the others of the same List
// are not. Items of a List (or VirtualServiceList, and so on) become objects of
// their own, each with its own line and text.
//
// It reads the metadata only: what the object says is for its front end.
func ParseObjects(doc Document, file string) ([]*Object, []Condition) {
	p := parser{doc: doc, file: file}
	tree, err := manifest.ParseBriefly(doc.Text)
	defer tree.Release()
	if err != nil {
		line, message := 0, err.Error()
		if e := (*manifest.Error)(nil); errors.As(err, &e) {
			line, message = e.Line, e.Message
		}
		p.fail(p.fileKey(), BadYAML, "", line, message)
		return nil, p.conditions
	}
	if root := tree.Root; root != nil {
		p.parse(root, typeMeta{}, func() ([]byte, int) { return doc.Text, 1 })
	}
	return p.objects, p.conditions
}

// parser collects what one document holds.
type parser struct {
	doc        Document
	file       string
	objects    []*Object
	conditions []Condition
}

// typeMeta is the version and kind that the items of a typed list share.
type typeMeta struct{ apiVersion, kind string }

// fileKey is how conditions name the file itself.
func (p *parser) fileKey() Key { return Key{Kind: "File", Name: p.file} }

// fail adds an Error at a line of the document.
func (p *parser) fail(key Key, reason Reason, field string, line int, message string) {
	p.add(Condition{Severity: Error, Reason: reason, Object: key, Field: field, Message: message}, line)
}

func (p *parser) add(c Condition, line int) {
	c.File, c.Line = p.file, p.doc.Line+max(line, 1)-1
	p.conditions = append(p.conditions, c)
}

// parse adds the object or the list that n is. source returns the text of n alone,
// and the line of the document where that text starts.
func (p *parser) parse(n *yaml.Node, inherited typeMeta, source func() ([]byte, int)) {
	if n.Kind != yaml.MappingNode {
		p.fail(p.fileKey(), BadYAML, "", n.Line, `not an object: it must begin with "apiVersion:" and "kind:"`)
		return
	}
	apiVersion, ok := p.typeField(n, "apiVersion", inherited.apiVersion)
	if !ok {
		return
	}
	kind, ok := p.typeField(n, "kind", inherited.kind)
	if !ok {
		return
	}
	if items := manifest.Field(n, "items"); items != nil && strings.HasSuffix(kind, "List") {
		p.list(items, typeMeta{apiVersion, kind})
		return
	}
	p.object(n, apiVersion, kind, source)
}

// typeField returns apiVersion or kind.
func (p *parser) typeField(n *yaml.Node, name, inherited string) (string, bool) {
	value := manifest.Field(n, name)
	if value == nil && inherited != "" {
		return inherited, true
	}
	key := p.fileKey()
	if objectName := manifest.Field(manifest.Field(n, "metadata"), "name"); objectName != nil {
		key = Key{Kind: "Object", Name: strings.Clone(objectName.Value)}
	}
	if value == nil {
		p.fail(key, BadMetadata, name, n.Line, fmt.Sprintf("missing: every object needs %s", name))
		return "", false
	}
	kind, text := manifest.Scalar(value)
	if value.Kind != yaml.ScalarNode || kind != manifest.String || text == "" {
		p.fail(key, BadMetadata, name, value.Line, "must be a word such as "+map[string]string{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}[name])
		return "", false
	}
	return shared(text), true
}

// shared returns a copy of a text that thousands of objects have in common: the same for all.
func shared(text string) string { return unique.Make(text).Value() }

// list adds the items of a List.
func (p *parser) list(items *yaml.Node, of typeMeta) {
	if items.Kind == yaml.ScalarNode {
		if kind, _ := manifest.Scalar(items); kind == manifest.Null {
			return
		}
	}
	if items.Kind != yaml.SequenceNode {
		p.fail(p.fileKey(), BadYAML, "items", items.Line, "must be a list of objects")
		return
	}
	inherited := typeMeta{}
	if of.kind != "List" {
		inherited = typeMeta{of.apiVersion, strings.TrimSuffix(of.kind, "List")}
	}
	cut := newCutter(p.doc.Text, items)
	for i, item := range items.Content {
		p.parse(item, inherited, func() ([]byte, int) { return cut.item(i) })
	}
}

// object adds one object.
func (p *parser) object(n *yaml.Node, apiVersion, kind string, source func() ([]byte, int)) {
	o := &Object{Key: Key{Kind: kind}, File: p.file}
	if group, version, ok := strings.Cut(apiVersion, "/"); ok {
		o.Group, o.Version = group, version
	} else {
		o.Version = apiVersion
	}
	metadata := manifest.Field(n, "metadata")
	if metadata == nil || metadata.Kind != yaml.MappingNode {
		p.fail(o.Key, BadMetadata, "metadata", n.Line, "missing: every object needs metadata with a name")
		return
	}
	m := metadataReader{parser: p, object: o, metadata: metadata}
	m.read()
	if m.failed {
		return
	}
	o.Group, o.Version, o.Kind = shared(o.Group), shared(o.Version), shared(o.Kind)
	text, line := source()
	o.Source, o.Line = Plain(text), p.doc.Line+line-1
	p.objects = append(p.objects, o)
}

// metadataReader reads the metadata of one object.
type metadataReader struct {
	*parser
	object   *Object
	metadata *yaml.Node
	failed   bool
}

func (m *metadataReader) read() {
	o := m.object
	o.Name = strings.Clone(m.text("name"))
	o.Namespace = shared(m.text("namespace"))
	if o.Name == "" && !m.failed {
		message := "missing: give the object a name"
		if manifest.Field(m.metadata, "generateName") != nil {
			message = "missing: generateName works at an API server only; give the object a name"
		}
		m.bad("metadata.name", m.metadata.Line, message)
	}
	switch {
	case clusterScoped(o.Kind):
		o.Namespace = ""
	case o.Namespace == "":
		o.Namespace = "default"
	}
	m.pathSafe("name", o.Name)
	m.pathSafe("namespace", o.Namespace)
	o.Labels = m.stringMap("labels")
	o.Annotations = m.stringMap("annotations")
	if created := m.text("creationTimestamp"); created != "" {
		t, err := time.Parse(time.RFC3339, created)
		if err != nil {
			m.bad("metadata.creationTimestamp", m.metadata.Line, fmt.Sprintf("%q is not a time such as 2026-01-31T09:00:00Z (RFC 3339)", created))
			return
		}
		o.Created = At(t)
	}
}

func (m *metadataReader) bad(field string, line int, message string) {
	m.failed = true
	m.fail(m.object.Key, BadMetadata, field, line, message)
}

// pathSafe refuses names that no API server takes, because they would read as
// something else in a URL or in "namespace/name".
func (m *metadataReader) pathSafe(field, name string) {
	if strings.ContainsAny(name, "/% \t\r\n") || name == "." || name == ".." {
		m.bad("metadata."+field, m.metadata.Line, fmt.Sprintf("%q is no name of an object: use letters, digits, '-' and '.'", name))
	}
}

// text returns a field of the metadata that is a string, as a part of the document; "" where it is
// absent.
func (m *metadataReader) text(field string) string {
	n := manifest.Field(m.metadata, field)
	if n == nil {
		return ""
	}
	text, problem := stringOf(n)
	if problem != "" {
		m.bad("metadata."+field, n.Line, problem)
	}
	return text
}

// stringMap returns a field of the metadata that maps strings to strings.
func (m *metadataReader) stringMap(field string) map[string]string {
	n := manifest.Field(m.metadata, field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		if kind, _ := manifest.Scalar(n); n.Kind != yaml.ScalarNode || kind != manifest.Null {
			m.bad("metadata."+field, n.Line, "must map names to strings")
		}
		return nil
	}
	values := make(map[string]string, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		text, problem := stringOf(n.Content[i+1])
		if problem != "" {
			m.bad("metadata."+field+"["+n.Content[i].Value+"]", n.Content[i].Line, problem)
		}
		values[strings.Clone(n.Content[i].Value)] = strings.Clone(text)
	}
	return values
}

// stringOf returns the string that n is, a part of the document, or what is wrong with it.
func stringOf(n *yaml.Node) (text, problem string) {
	if n.Kind != yaml.ScalarNode {
		return "", "must be a string"
	}
	kind, text := manifest.Scalar(n)
	switch kind {
	case manifest.Null:
		return "", ""
	case manifest.String:
		return text, ""
	}
	return "", fmt.Sprintf("must be a string, and %s is %s: write %q", n.Value, kind, n.Value)
}

// clusterScoped reports whether objects of a kind have no namespace. Kinds that
// nobody here reads need not be complete: a wrong namespace harms nothing.
func clusterScoped(kind string) bool {
	switch kind {
	case "Namespace", "Node", "PersistentVolume", "StorageClass", "PriorityClass", "APIService", "RuntimeClass",
		"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "CSIDriver", "CSINode", "VolumeAttachment",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy",
		"ValidatingAdmissionPolicyBinding", "IngressClass", "GatewayClass", "ClusterTrustBundle", "ServiceCIDR", "IPAddress":
		return true
	}
	return false
}

// blank returns line with its first n bytes, which are spaces and dashes, as spaces.
func blank(line []byte, n int) []byte {
	out := bytes.Clone(line)
	for i := range n {
		out[i] = ' '
	}
	return out
}
