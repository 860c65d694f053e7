package istio

import (
	"iter"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// objectTable holds objects by their keys. Most are VirtualServices that are in force as they
// were written and whose types are dropped, of which there is nothing to hold but that.
type objectTable struct {
	plain  *config.Keyed[*config.Object]
	others *config.Keyed[*object]
	// most is how many others there were at once since their table was last made.
	most int
}

func newObjectTable() objectTable {
	return objectTable{
		plain:  config.NewKeyed(func(o *config.Object) config.Key { return o.Key }),
		others: config.NewKeyed((*object).key),
	}
}

// Get returns the object of a key, nil if there is none. Whoever changes it has to set it again.
func (t *objectTable) Get(key config.Key) *object {
	if o := t.plain.Get(key); o != nil {
		return &object{written: o, inForce: o, typed: (*resource.VirtualService)(nil)}
	}
	return t.others.Get(key)
}

// written returns the version of an object that was last written, nil if there is none.
func (t *objectTable) written(key config.Key) *config.Object {
	if o := t.plain.Get(key); o != nil {
		return o
	}
	if o := t.others.Get(key); o != nil {
		return o.written
	}
	return nil
}

// set takes an object in the place of the one with its key.
func (t *objectTable) set(o *object) {
	t.plain.Delete(o.written.Key)
	t.others.Set(o)
	t.most = max(t.most, t.others.Len())
}

func (t *objectTable) delete(key config.Key) {
	t.plain.Delete(key)
	t.others.Delete(key)
}

// settle holds no more of an object than is needed from now on, where it is still there.
func (t *objectTable) settle(o *object) {
	if v, ok := o.typed.(*resource.VirtualService); ok && v == nil && o.inForce == o.written && t.others.Get(o.written.Key) == o {
		t.others.Delete(o.written.Key)
		t.plain.Set(o.written)
	}
}

// tidy gives back the room of the others that there are no more: in a first load everything was
// one of them.
func (t *objectTable) tidy() {
	n := t.others.Len()
	if t.most < 64 || t.most < 4*n {
		return
	}
	fewer := config.NewKeyed((*object).key)
	fewer.Grow(n)
	for o := range t.others.All() {
		fewer.Set(o)
	}
	t.others, t.most = fewer, n
}

// typed yields the objects whose types are at hand.
func (t *objectTable) typed() iter.Seq[*object] { return t.others.All() }
