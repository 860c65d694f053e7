package file

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sluicegate/sluice/config"
)

// content is what one version of a file gives. It never changes.
type content struct {
	place
	info   fs.FileInfo
	readAt time.Time
	// docs are those in force: of the last version without a fault, if there was one. objects are
	// what they hold, one after the other: there may be a hundred thousand, so that none of them
	// has anything here that only few need.
	docs    []document
	objects []*config.Object
	// details are those of the objects, nil where each is the whole of its document.
	details []detail
	// keys are the places of the first object with each key, from 1; nil where there are few
	// objects. distinct is how many keys there are.
	keys     *config.Keyed[int32]
	distinct int
	// troubles are what is wrong with docs, by their index; nil for nothing.
	troubles map[int]*trouble
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

// few is up to how many objects are looked through for a key.
const few = 8

// get returns the object of that key, nil if there is none. A nil content has none.
func (c *content) get(key config.Key) *config.Object {
	if i, ok := c.find(key); ok {
		return c.objects[i]
	}
	return nil
}

// find returns the index of the first object of that key. A nil content has none.
func (c *content) find(key config.Key) (int, bool) {
	switch {
	case c == nil:
		return 0, false
	case c.keys != nil:
		i := int(c.keys.Get(key))
		return i - 1, i > 0
	}
	for i, o := range c.objects {
		if o.Key == key {
			return i, true
		}
	}
	return 0, false
}

// loses says whether next lacks an object that c has.
func (c *content) loses(next *content) bool {
	if c == nil {
		return false
	}
	if next == nil {
		return len(c.objects) > 0
	}
	for _, key := range changed(c, next) {
		if c.get(key) != nil && next.get(key) == nil {
			return true
		}
	}
	return false
}

// index has objects found by their keys.
func (c *content) index() {
	c.keys, c.distinct = nil, 0
	if objects := c.objects; len(objects) > few {
		c.keys = config.NewKeyed(func(i int32) config.Key { return objects[i-1].Key })
		c.keys.Grow(len(objects))
		for i, o := range objects {
			if c.keys.Get(o.Key) == 0 {
				c.keys.Set(int32(i + 1))
			}
		}
		c.distinct = c.keys.Len()
		return
	}
	for i, o := range c.objects {
		if first, _ := c.find(o.Key); first == i {
			c.distinct++
		}
	}
}

// duplicates says which objects are not in force because of others before them.
func (c *content) duplicates() (found []config.Condition) {
	if c.distinct == len(c.objects) {
		return nil
	}
	for i, o := range c.objects {
		if first, _ := c.find(o.Key); first != i {
			found = append(found, duplicate(c, i, c, first))
		}
	}
	return found
}

// duplicate says that an object is not in force because of another with its key, which may be in
// another file.
func duplicate(lost *content, i int, first *content, j int) config.Condition {
	it := lost.item(i)
	c := config.Condition{
		Severity: config.Error, Reason: ReasonDuplicate, Object: it.Key, File: lost.path, Line: it.line,
		Message: fmt.Sprintf("it is also in %s:%d, which is read first and is in force; remove one of them", first.path, first.item(j).line),
	}
	if lost.textDigest(i) == first.textDigest(j) {
		c.Severity = config.Warning
	}
	return c
}

// changed returns the keys of objects in documents that the two versions do not
// share. Either may be nil. A key may be there twice.
func changed(a, b *content) (keys []config.Key) {
	if a == nil {
		a = &content{}
	}
	if b == nil {
		b = &content{}
	}
	head, most := 0, min(len(a.docs), len(b.docs))
	for head < most && a.same(head, b, head) {
		head++
	}
	tail := 0
	for tail < most-head && a.same(len(a.docs)-1-tail, b, len(b.docs)-1-tail) {
		tail++
	}
	for _, c := range []*content{a, b} {
		objects := c.objects[c.start(head):c.start(len(c.docs)-tail)]
		keys = slices.Grow(keys, len(objects))
		for _, o := range objects {
			keys = append(keys, o.Key)
		}
	}
	return keys
}
