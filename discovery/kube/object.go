package kube

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/jsonscan"
)

// item is an object as it came from the API server: what is kept of it, and what a
// reflector asks of it.
type item struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	object *config.Object
}

// DeepCopyObject returns the item itself: nothing in it changes.
func (i *item) DeepCopyObject() runtime.Object { return i }

// items is a list of them.
type items struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []*item
}

// DeepCopyObject returns the list itself.
func (l *items) DeepCopyObject() runtime.Object { return l }

// reader turns the JSON of objects of one resource into items. Strings that many objects
// share, such as labels, it keeps once. It is for one goroutine.
type reader struct {
	resource *resource
	version  string
	strings  map[string]string
	scratch  []byte
}

// maxShared bounds the strings that a reader remembers.
const maxShared = 50_000

func newReader(r *resource, version string) *reader {
	return &reader{resource: r, version: version, strings: map[string]string{}}
}

// lastApplied is the annotation in which kubectl keeps all of an object a second time.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// read turns one object into an item.
func (r *reader) read(text []byte) (*item, error) {
	i := &item{object: &config.Object{Version: r.version}}
	o := i.object
	s := jsonscan.Scan{Text: text}
	body, links := r.scratch[:0], []byte(nil)
	ok := s.Object(func(name []byte) (ok bool) {
		if string(name) == "metadata" {
			links, ok = r.metadata(&s, i)
			return ok
		}
		inner, kept := r.resource.keep[string(name)]
		if !kept {
			_, ok = s.Value()
			return ok
		}
		body = appendName(append(body, ','), name, true)
		body, ok = inner.trim(&s, body)
		return ok
	})
	r.scratch = body
	if !ok || i.Name == "" || strings.ContainsAny(i.Name+i.Namespace, "\"\\\r\n") {
		return nil, errJSON
	}
	o.Key, o.Created = r.resource.key(i.Namespace, i.Name), config.At(i.CreationTimestamp.Time)
	o.Source = config.Plain(r.manifest(i, links, body))
	return i, nil
}

// manifest puts the parts of an object that are kept together again.
func (r *reader) manifest(i *item, links, body []byte) []byte {
	out := make([]byte, 0, 96+len(i.Name)+len(i.Namespace)+len(links)+len(body))
	out = append(out, `{"apiVersion":"`...)
	out = append(out, r.resource.apiVersion(r.version)...)
	out = append(out, `","kind":"`...)
	out = append(out, r.resource.kind...)
	out = append(out, `","metadata":{"name":"`...)
	out = append(out, i.Name...)
	if i.Namespace != "" {
		out = append(out, `","namespace":"`...)
		out = append(out, i.Namespace...)
	}
	out = append(out, '"')
	out = append(out, links...)
	out = append(out, '}')
	out = append(out, body...)
	return append(out, '}')
}

// metadata reads an object's metadata. It returns those fields that belong into the manifest.
func (r *reader) metadata(s *jsonscan.Scan, i *item) (links []byte, ok bool) {
	ok = s.Object(func(name []byte) (ok bool) {
		switch string(name) {
		case "name":
			i.Name, ok = r.text(s, false)
		case "namespace":
			i.Namespace, ok = r.text(s, true)
		case "uid":
			var uid string
			uid, ok = r.text(s, false)
			if r.resource.statuses {
				i.UID = types.UID(uid)
			}
		case "resourceVersion":
			i.ResourceVersion, ok = r.text(s, false)
		case "generation":
			var number []byte
			number, ok = s.Value()
			i.Generation, _ = strconv.ParseInt(string(number), 10, 64)
		case "creationTimestamp":
			var text string
			text, ok = r.text(s, false)
			i.CreationTimestamp.Time, _ = time.Parse(time.RFC3339, text)
		case "labels":
			i.object.Labels, ok = r.texts(s, r.resource.labels)
		case "annotations":
			if !r.resource.annotations {
				_, ok = s.Value()
				return ok
			}
			i.object.Annotations, ok = r.texts(s, func(key string) bool { return key != lastApplied })
		case "ownerReferences":
			links, ok = r.link(s, links, name, r.resource.owners, keep{"kind": all, "name": all, "controller": all})
		case "deletionTimestamp":
			links, ok = r.link(s, links, name, r.resource.owners && !r.resource.metadataOnly, all)
		default:
			_, ok = s.Value()
		}
		return ok
	})
	return links, ok
}

// link appends a field of the metadata to those for the manifest, where it is wanted.
func (r *reader) link(s *jsonscan.Scan, links, name []byte, wanted bool, k keep) ([]byte, bool) {
	if !wanted {
		_, ok := s.Value()
		return links, ok
	}
	return k.trim(s, appendName(append(links, ','), name, true))
}

// text reads a string, "" for null; shared strings are kept once.
func (r *reader) text(s *jsonscan.Scan, shared bool) (string, bool) {
	raw, ok := s.Value()
	if !ok {
		return "", false
	}
	if len(raw) < 2 || raw[0] != '"' {
		return "", string(raw) == "null"
	}
	return r.string(raw[1:len(raw)-1], shared)
}

// maxSharedText is the length up to which texts are likely to be those of other objects too.
const maxSharedText = 80

// string returns what is written between quotes.
func (r *reader) string(raw []byte, shared bool) (string, bool) {
	shared = shared && len(raw) <= maxSharedText
	if shared {
		if known, ok := r.strings[string(raw)]; ok {
			return known, true
		}
	}
	text := string(raw)
	if strings.IndexByte(text, '\\') >= 0 {
		err := json.Unmarshal([]byte(`"`+text+`"`), &text)
		return text, err == nil
	}
	if shared && len(r.strings) < maxShared {
		r.strings[text] = text
	}
	return text, true
}

// texts reads a mapping from strings to strings, of whose keys want chooses; all where nil.
func (r *reader) texts(s *jsonscan.Scan, want func(key string) bool) (map[string]string, bool) {
	if s.Space() != '{' {
		_, ok := s.Value()
		return nil, ok
	}
	var texts map[string]string
	ok := s.Object(func(name []byte) bool {
		key, ok := r.string(name, true)
		if !ok {
			return false
		}
		if want != nil && !want(key) {
			_, ok := s.Value()
			return ok
		}
		value, ok := r.text(s, true)
		if texts == nil {
			texts = make(map[string]string, 4)
		}
		texts[key] = value
		return ok
	})
	return texts, ok
}
