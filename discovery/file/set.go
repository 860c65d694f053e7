package file

import (
	"cmp"
	"slices"

	"github.com/sluicegate/sluice/config"
)

// set is the objects of all files, and which file has which.
type set struct {
	files map[string]*content
	// owner are the objects in force, each of which knows its file.
	owner *config.Keyed[*config.Object]
	// rivals are all files with a key, in order of path, where there are several.
	rivals map[config.Key][]string
	// troubled are the files with conditions.
	troubled map[string]bool

	// What happened since the last delta: the object that was in force before, for
	// each key touched; and the keys that may stand at another line.
	before map[config.Key]*config.Object
	moved  []config.Key
	// conditions are those of the last delta.
	conditions []config.Condition
}

func newSet() *set {
	return &set{
		files:    make(map[string]*content),
		owner:    config.NewKeyed(func(o *config.Object) config.Key { return o.Key }),
		rivals:   make(map[config.Key][]string),
		troubled: make(map[string]bool),
		before:   make(map[config.Key]*config.Object),
	}
}

// replace takes a new version of a file; nil means that the file has gone.
func (s *set) replace(path string, next *content) {
	had := s.files[path]
	keys := changed(had, next)
	for _, key := range keys {
		if _, noted := s.before[key]; !noted {
			s.before[key] = s.inForce(key).Object
		}
	}
	for _, key := range keys {
		if o := next.get(key); o != nil {
			s.claim(o, path)
		} else {
			s.drop(key, path)
		}
	}
	if next == nil {
		delete(s.files, path)
		delete(s.troubled, path)
		return
	}
	s.files[path] = next
	delete(s.troubled, path)
	if len(next.conditions) > 0 {
		s.troubled[path] = true
	}
	s.noteMoves(had, next)
}

// noteMoves notes the objects that both versions have, at different lines.
func (s *set) noteMoves(had, next *content) {
	if had == nil {
		return
	}
	twice := len(had.objects) > had.distinct
	for i := range next.objects {
		it := next.item(i)
		// Most edits move nothing or everything behind them, in the same order. Of a key that is
		// there twice another may have been in force.
		if !twice && i < len(had.objects) && had.item(i) == it {
			continue
		}
		if j, ok := had.find(it.Key); ok && had.objects[j] == it.Object && had.item(j).line != it.line {
			s.moved = append(s.moved, it.Key)
		}
	}
}

// inForce returns the object of a key, the zero item if there is none.
func (s *set) inForce(key config.Key) item {
	owner := s.owner.Get(key)
	if owner == nil {
		return item{}
	}
	c := s.files[owner.File]
	i, ok := c.find(key)
	if !ok {
		return item{}
	}
	return c.item(i)
}

// claim notes that a file has an object. The first of several files has its object in force.
func (s *set) claim(o *config.Object, path string) {
	key := o.Key
	owner := s.owner.Get(key)
	all := s.rivals[key]
	if owner == nil || all == nil && owner.File == path {
		s.owner.Set(o)
		return
	}
	if all == nil {
		all = []string{owner.File}
	}
	if i, found := slices.BinarySearch(all, path); !found {
		all = slices.Insert(all, i, path)
	}
	s.rivals[key] = all
	if all[0] == path {
		s.owner.Set(o)
	}
}

func (s *set) drop(key config.Key, path string) {
	all := s.rivals[key]
	if all == nil {
		if owner := s.owner.Get(key); owner != nil && owner.File == path {
			s.owner.Delete(key)
		}
		return
	}
	if i, found := slices.BinarySearch(all, path); found {
		all = slices.Delete(all, i, i+1)
	}
	if first := s.files[all[0]].get(key); first != nil {
		s.owner.Set(first)
	}
	if s.rivals[key] = all; len(all) == 1 {
		delete(s.rivals, key)
	}
}

// delta returns what changed since it was last called, and whether anything did.
// The conditions given are those that no file has.
func (s *set) delta(others []config.Condition) (config.Delta, bool) {
	var d config.Delta
	set := make([]item, 0, len(s.before))
	for key, old := range s.before {
		now := s.inForce(key)
		switch {
		case now.Object == old:
		case now.Object == nil:
			d.Removed = append(d.Removed, key)
		default:
			set = append(set, now)
		}
	}
	slices.SortFunc(set, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.line, b.line), compareKeys(a.Key, b.Key))
	})
	for _, it := range set {
		d.Set = append(d.Set, it.Object)
		if it.line != it.Line {
			s.moved = append(s.moved, it.Key)
		}
	}
	for _, key := range s.moved {
		if now := s.inForce(key); now.Object != nil {
			d.Moved = append(d.Moved, config.Place{Key: key, Line: now.line})
		}
	}
	slices.SortFunc(d.Removed, compareKeys)
	// Not cleared: it would keep the size of the first load.
	s.before, s.moved = make(map[config.Key]*config.Object), nil

	d.Conditions = s.wrong(others)
	same := slices.Equal(s.conditions, d.Conditions)
	s.conditions = d.Conditions
	return d, !same || len(d.Set)+len(d.Removed)+len(d.Moved) > 0
}

// wrong returns all conditions, in order of file and line.
func (s *set) wrong(others []config.Condition) []config.Condition {
	all := slices.Clone(others)
	for path := range s.troubled {
		all = append(all, s.files[path].conditions...)
	}
	for key, paths := range s.rivals {
		first := s.files[paths[0]]
		in, _ := first.find(key)
		for _, path := range paths[1:] {
			c := s.files[path]
			at, _ := c.find(key)
			all = append(all, duplicate(c, at, first, in))
		}
	}
	slices.SortFunc(all, func(a, b config.Condition) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), compareKeys(a.Object, b.Object),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return all
}

func compareKeys(a, b config.Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group))
}
