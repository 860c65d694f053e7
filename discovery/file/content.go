package file

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sluicegate/sluice/config"
)

// document is one YAML document and what it holds. It never changes, and the
// versions of a file share those whose text is the same.
type document struct {
	digest digest
	// line is where the text began when it was parsed; objects and conditions
	// count from there.
	line    int
	objects []item
	// few have a trouble; nil for none.
	few *trouble
}

// trouble is what is wrong with a document.
type trouble struct {
	conditions []config.Condition
	// broken: something in it does not parse, so that objects may be missing.
	broken bool
	// refused are the keys of objects with an error of their own.
	refused []config.Key
	// carried: it is no document of the file, but the last version of an object that has an
	// error of its own now.
	carried bool
}

// trouble returns what is wrong with the document: the zero value in most cases.
func (d *document) trouble() trouble {
	if d.few == nil {
		return trouble{}
	}
	return *d.few
}

// standing is a document where it stands in one version of a file.
type standing struct {
	*document
	line int
}

// shift is how far the document has moved down since it was parsed.
func (s standing) shift() int { return s.line - s.document.line }

// item is an object and where it stands: an object whose text did not change keeps
// its pointer, and so the line of its youth.
type item struct {
	*config.Object
	line int
}

// content is what one version of a file gives. It never changes.
type content struct {
	place
	info   fs.FileInfo
	readAt time.Time
	// docs are those in force: of the last version without a fault, if there was one.
	docs []standing
	// items are the objects in docs, keys the places of the first with each key, from 1.
	items []item
	keys  *config.Keyed[int32]
	// conditions are those of this version, whatever is in force.
	conditions []config.Condition
	// faulty: this version gives nothing of its own, or not everything.
	faulty bool
	// unread: reading failed, which a change of permissions can mend.
	unread bool
}

// racy is how much older than its reading a file's time must be, so that an equal
// time means equal text: file systems may stamp writes in steps of a clock tick.
const racy = 50 * time.Millisecond

// current says whether the file is as it was when it was read.
func (c *content) current(info fs.FileInfo) bool {
	return !c.unread && os.SameFile(c.info, info) && c.info.Size() == info.Size() &&
		c.info.ModTime().Equal(info.ModTime()) && c.readAt.Sub(info.ModTime()) > racy
}

// get returns the object of that key, nil if there is none. A nil content has none.
func (c *content) get(key config.Key) *config.Object {
	if c == nil {
		return nil
	}
	if i, ok := c.find(key); ok {
		return c.items[i].Object
	}
	return nil
}

// find returns the index of the first object of that key.
func (c *content) find(key config.Key) (int, bool) {
	i := int(c.keys.Get(key))
	return i - 1, i > 0
}

// loses says whether next lacks an object that c has.
func (c *content) loses(next *content) bool {
	if c == nil {
		return false
	}
	if next == nil {
		return c.keys.Len() > 0
	}
	for _, key := range changed(c, next) {
		if c.get(key) != nil && next.get(key) == nil {
			return true
		}
	}
	return false
}

// index lists the objects of the documents in force.
func (c *content) index() {
	items := make([]item, 0, len(c.docs))
	keys := config.NewKeyed(func(i int32) config.Key { return items[i-1].Key })
	for _, s := range c.docs {
		for _, it := range s.objects {
			it.line += s.shift()
			first := keys.Get(it.Key)
			if first > 0 && s.trouble().carried {
				continue // Another version is in order, so that none is carried over.
			}
			items = append(items, it)
			if first == 0 {
				keys.Set(int32(len(items)))
			} else {
				c.conditions = append(c.conditions, duplicate(it, c.path, items[first-1], c.path))
			}
		}
	}
	c.items, c.keys = items, keys
}

// duplicate says that an object is not in force because of another with its key.
func duplicate(lost item, lostPath string, first item, firstPath string) config.Condition {
	c := config.Condition{
		Severity: config.Error, Reason: ReasonDuplicate, Object: lost.Key, File: lostPath, Line: lost.line,
		Message: fmt.Sprintf("it is also in %s:%d, which is read first and is in force; remove one of them", firstPath, first.line),
	}
	if sameText(lost.Object, first.Object) {
		c.Severity = config.Warning
	}
	return c
}

// changed returns the keys of objects in documents that the two versions do not
// share. Either may be nil. A key may be there twice.
func changed(a, b *content) (keys []config.Key) {
	var old, now []standing
	if a != nil {
		old = a.docs
	}
	if b != nil {
		now = b.docs
	}
	for len(old) > 0 && len(now) > 0 && old[0].document == now[0].document {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1].document == now[len(now)-1].document {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	for _, part := range [][]standing{old, now} {
		for _, s := range part {
			for _, o := range s.objects {
				keys = append(keys, o.Key)
			}
		}
	}
	return keys
}
