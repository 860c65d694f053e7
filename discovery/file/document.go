package file

import (
	"github.com/sluicegate/sluice/config"
)

// document is one YAML document of one version of a file. What it holds is in the version's
// content, where the next version finds it if the text is the same.
type document struct {
	// digest is that of the text; zero where the document is none of the file, but carries the
	// last version of an object that has an error of its own now.
	digest digest
	// line is where the text begins.
	line int32
	// end is how many objects there are down to its end, those of the documents before it among
	// them.
	end int32
}

// trouble is what is wrong with a document, as it was found when that stood at a line.
type trouble struct {
	line       int32
	conditions []config.Condition
	// broken: something in it does not parse, so that objects may be missing.
	broken bool
	// refused are the keys of objects with an error of their own.
	refused []config.Key
}

// detail is what has to be known of an object that is not the whole of its document.
type detail struct {
	// digest is that of the object's own text.
	digest digest
	// offset is how many lines below its document's first the object begins.
	offset int32
}

// item is an object and where it stands: an object whose text did not change keeps
// its pointer, and so the line of its youth.
type item struct {
	*config.Object
	line int
}

// start is the index of a document's first object.
func (c *content) start(doc int) int {
	if doc == 0 {
		return 0
	}
	return int(c.docs[doc-1].end)
}

// of returns the objects of a document, and the details of them if one of them has any.
func (c *content) of(doc int) ([]*config.Object, []detail) {
	from, to := c.start(doc), int(c.docs[doc].end)
	objects := c.objects[from:to:to]
	if c.details == nil || len(objects) == 0 || len(objects) == 1 && c.details[from] == (detail{digest: c.docs[doc].digest}) {
		return objects, nil
	}
	return objects, c.details[from:to:to]
}

// document returns the index of the document that holds an object.
func (c *content) document(object int) int {
	// In most files each document is one object.
	if object < len(c.docs) && int(c.docs[object].end) == object+1 && c.start(object) == object {
		return object
	}
	low, high := 0, len(c.docs)
	for low < high {
		if middle := (low + high) / 2; int(c.docs[middle].end) > object {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// item returns an object by its index.
func (c *content) item(i int) item {
	line := c.docs[c.document(i)].line
	if c.details != nil {
		line += c.details[i].offset
	}
	return item{c.objects[i], int(line)}
}

// textDigest returns the digest of the text of an object.
func (c *content) textDigest(i int) digest {
	d := c.docs[c.document(i)].digest
	if c.details != nil {
		d = c.details[i].digest
	}
	if d == (digest{}) {
		return digestOf(c.objects[i].Text())
	}
	return d
}

// same says whether a document of c holds what one of other does.
func (c *content) same(doc int, other *content, otherDoc int) bool {
	if c.docs[doc].digest != other.docs[otherDoc].digest {
		return false
	}
	a, b := c.objects[c.start(doc):c.docs[doc].end], other.objects[other.start(otherDoc):other.docs[otherDoc].end]
	if len(a) != len(b) {
		return false
	}
	for i, o := range a {
		if o != b[i] {
			return false
		}
	}
	return true
}
