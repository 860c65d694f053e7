package decode

import (
	"strconv"
	"unsafe"

	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/jsonscan"
)

// quick reads JSON into Kubernetes' types without the cost of encoding/json, for the kinds of
// which clusters have thousands. It reads what API servers write, and means the same by it. Of
// anything else, be it only an escape in a string, a field that it does not know or one that is
// there twice, its methods return false: then encoding/json is to read the text instead.
//
// The strings that come out are parts of the text, which therefore must never change.
type quick struct{ jsonscan.Scan }

// end says whether the whole text has been read.
func (q *quick) end() bool { return q.Space() == 0 && q.At == len(q.Text) }

// fields calls field with the name of each field of an object. All are of names, of which
// there are 32 at most.
func (q *quick) fields(names []string, field func(name string) bool) bool {
	seen := uint32(0)
	return q.Object(func(written []byte) bool {
		for i, name := range names {
			if string(written) == name {
				again := seen&(1<<i) != 0
				seen |= 1 << i
				return !again && field(name)
			}
		}
		return false
	})
}

// part returns a part of the text as a string, where it stands for itself.
func part(of []byte) (string, bool) {
	for _, c := range of {
		if c < ' ' || c == '\\' || c > '~' {
			return "", false
		}
	}
	return unsafe.String(unsafe.SliceData(of), len(of)), true
}

// text reads a string.
func (q *quick) text(into *string) (ok bool) {
	quoted, ok := q.Quoted()
	if !ok {
		return false
	}
	*into, ok = part(quoted[1 : len(quoted)-1])
	return ok
}

// flag reads true or false.
func (q *quick) flag(into *bool) bool {
	word, ok := q.Value()
	*into = string(word) == "true"
	return ok && (*into || string(word) == "false")
}

// number reads a whole number.
func (q *quick) number(into *int32) bool {
	word, ok := q.Value()
	if !ok || len(word) > 1 && (word[0] < '1' || word[0] > '9') {
		return false // a sign, or a leading zero
	}
	n, err := strconv.ParseInt(string(word), 10, 32)
	*into = int32(n)
	return err == nil
}

// null passes over null, if that comes next.
func (q *quick) null() bool {
	if q.Space() != 'n' {
		return false
	}
	word, ok := q.Value()
	return ok && string(word) == "null"
}

// texts reads a list of strings, or null, and appends them.
func (q *quick) texts(into *[]string) bool {
	if q.null() {
		*into = nil
		return true
	}
	return q.List(func() bool {
		var text string
		ok := q.text(&text)
		*into = append(*into, text)
		return ok
	})
}

// labels reads a mapping from strings to strings.
func (q *quick) labels(into *map[string]string) bool {
	*into = map[string]string{}
	return q.Object(func(name []byte) bool {
		var value string
		key, ok := part(name)
		if !ok || !q.text(&value) {
			return false
		}
		(*into)[key] = value
		return true
	})
}

var metadataNames = []string{"name", "namespace"}

// metadata reads what of an object's metadata stands in its manifest.
func (q *quick) metadata(into *kube.ObjectMeta) bool {
	return q.fields(metadataNames, func(name string) bool {
		if name == "name" {
			return q.text(&into.Name)
		}
		return q.text(&into.Namespace)
	})
}
