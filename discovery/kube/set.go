package kube

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluicegate/sluice/config"
)

// set holds every object that is known, and what of that has been handed on. Its methods may
// be called from any goroutine.
type set struct {
	mu    sync.Mutex
	kinds map[groupKind]map[types.NamespacedName]*entry
	// dirty are the entries that may differ from what was handed on.
	dirty []*entry
	// first and last are when the oldest and the newest of these changes came; urgent
	// says that one of them should not wait.
	first, last time.Time
	urgent      bool
	// restored says that there may be objects that came from a snapshot.
	restored bool
	// changed is told of changes.
	changed chan struct{}
}

type groupKind struct{ group, kind string }

// entry is one object.
type entry struct {
	// object is the one that is known, nil where it is gone; published the one handed on.
	object, published *config.Object
	// owner is the source that it came from; nil where it came from a snapshot.
	owner    *source
	identity *Identity
	dirty    bool
}

// Identity is what a writer of statuses has to know of an object.
type Identity struct {
	// Resource is the plural name of the kind, and Version the one that it is read in, such as
	// "gateways" and "v1".
	Resource, Version string
	UID               types.UID
	// Generation is that of the object's text that was read last, ResourceVersion the version
	// of all of it.
	Generation      int64
	ResourceVersion string
}

func newSet() *set {
	return &set{kinds: map[groupKind]map[types.NamespacedName]*entry{}, changed: make(chan struct{}, 1)}
}

// kind returns the objects of a kind.
func (s *set) kind(group, kind string) map[types.NamespacedName]*entry {
	k := groupKind{group, kind}
	if s.kinds[k] == nil {
		s.kinds[k] = map[types.NamespacedName]*entry{}
	}
	return s.kinds[k]
}

// put takes a version of an object from a source.
func (s *set) put(from *source, i *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(from, i)
	s.tell()
}

func (s *set) putLocked(from *source, i *item) {
	// Whether it is wanted is asked under the lock: who makes it unwanted takes that after, and so
	// either finds the object or has it left out.
	if from != nil && (from.retired || !from.wants(i)) {
		return
	}
	name := types.NamespacedName{Namespace: i.object.Namespace, Name: i.object.Name}
	entries := s.kind(i.object.Group, i.object.Kind)
	e := entries[name]
	if e == nil {
		e = &entry{}
		entries[name] = e
	}
	e.owner = from
	if from != nil && from.resource.statuses {
		e.identity = &Identity{from.resource.name, i.object.Version, i.UID, i.Generation, i.ResourceVersion}
	}
	switch {
	case e.object != nil && same(e.object, i.object):
		return
	case e.published != nil && same(e.published, i.object):
		e.object = e.published
	default:
		e.object = i.object
	}
	s.note(e, from != nil && from.resource.urgent && e.published != nil)
}

// remove forgets an object that a source has.
func (s *set) remove(from *source, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := from.resource
	if e := s.kind(r.group, r.kind)[types.NamespacedName{Namespace: namespace, Name: name}]; e != nil && (e.owner == from || e.owner == nil) {
		s.removeLocked(e, r.urgent)
	}
	s.tell()
}

func (s *set) removeLocked(e *entry, urgent bool) {
	if e.object == nil {
		return
	}
	key := e.object.Key
	e.object, e.identity = nil, nil
	if e.published == nil {
		// Nobody has heard of it.
		delete(s.kind(key.Group, key.Kind), types.NamespacedName{Namespace: key.Namespace, Name: key.Name})
		return
	}
	s.note(e, urgent)
}

// replace makes the objects of a source those, and no others.
func (s *set) replace(from *source, list []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from.replaced = true
	r := from.resource
	entries := s.kind(r.group, r.kind)
	known := len(entries)
	listed := make(map[types.NamespacedName]struct{}, min(known, len(list)))
	for _, i := range list {
		i := i.(*item)
		s.putLocked(from, i)
		if known > 0 && from.wants(i) {
			listed[types.NamespacedName{Namespace: i.object.Namespace, Name: i.object.Name}] = struct{}{}
		}
	}
	if known == 0 {
		s.tell()
		return
	}
	for name, e := range entries {
		if e.owner != from && (e.owner != nil || !from.covers(name)) {
			continue
		}
		if _, still := listed[name]; !still && e.object != nil {
			s.removeLocked(e, r.urgent)
		}
	}
	s.tell()
}

// retain forgets the objects that keep does not want.
func (s *set) retain(keep func(*config.Object) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entries := range s.kinds {
		for _, e := range entries {
			if e.object != nil && !keep(e.object) {
				s.removeLocked(e, false)
			}
		}
	}
	s.tell()
}

// adopt makes what another source gave, and does not cover any more, that of one that does.
func (s *set) adopt(to *source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range s.kind(to.resource.group, to.resource.kind) {
		if e.owner != nil && !e.owner.covers(name) && to.covers(name) {
			e.owner = to
		}
	}
}

// retire takes nothing of a source any more. Each object that it gave is that of the heir from then
// on, or forgotten where there is none. It returns the heirs that got something: they must list
// after that, or would never learn that it has gone.
func (s *set) retire(from *source, heir func(types.NamespacedName) *source) map[*source]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	from.retired = true
	got := map[*source]bool{}
	for name, e := range s.kind(from.resource.group, from.resource.kind) {
		if e.owner != from {
			continue
		}
		to := heir(name)
		if to == nil {
			s.removeLocked(e, false)
			continue
		}
		e.owner = to
		got[to] = true
	}
	s.tell()
	return got
}

// restore takes an object from a snapshot, unless one of the sources has brought it, or has listed
// all that there are without it.
func (s *set) restore(o *config.Object, sources []*source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
	known := slices.ContainsFunc(sources, func(from *source) bool {
		return from.replaced && from.resource.kind == o.Kind && from.resource.group == o.Group && from.covers(name)
	})
	if !known && s.kind(o.Group, o.Kind)[name] == nil {
		s.putLocked(nil, &item{object: o})
		s.restored = true
	}
	s.tell()
}

// forsake forgets what came from a snapshot and keep does not want: as no source is about it, none
// would tell that it has gone.
func (s *set) forsake(keep func(config.Key) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.restored {
		return
	}
	s.restored = false
	for _, entries := range s.kinds {
		for _, e := range entries {
			if e.object == nil || e.owner != nil {
				continue
			}
			if s.restored = true; !keep(e.object.Key) {
				s.removeLocked(e, false)
			}
		}
	}
	s.tell()
}

// has says whether there are objects of a source, or from a snapshot in its place.
func (s *set) has(from *source) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range s.kinds[groupKind{from.resource.group, from.resource.kind}] {
		if e.object != nil && (e.owner == from || e.owner == nil && from.covers(name)) {
			return true
		}
	}
	return false
}

// note remembers that an entry has changed.
func (s *set) note(e *entry, urgent bool) {
	s.last = time.Now()
	if len(s.dirty) == 0 {
		s.first = s.last
	}
	s.urgent = s.urgent || urgent
	if !e.dirty {
		e.dirty = true
		s.dirty = append(s.dirty, e)
	}
}

func (s *set) tell() {
	if len(s.dirty) == 0 {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// due is when the changes that there are should be handed on; false where there are none.
func (s *set) due() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.dirty) == 0:
		return time.Time{}, false
	case s.urgent:
		return s.first, true
	}
	quiet, patience := s.last.Add(quiet), s.first.Add(patience)
	if quiet.Before(patience) {
		return quiet, true
	}
	return patience, true
}

// take returns what differs from what was handed on, which from then on is handed on.
func (s *set) take() (d config.Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.dirty {
		e.dirty = false
		if e.object == e.published {
			continue
		}
		if e.object != nil {
			d.Set = append(d.Set, e.object)
			e.published = e.object
			continue
		}
		key := e.published.Key
		d.Removed = append(d.Removed, key)
		delete(s.kind(key.Group, key.Kind), types.NamespacedName{Namespace: key.Namespace, Name: key.Name})
	}
	s.dirty, s.urgent = s.dirty[:0], false
	return d
}

// objects returns what was handed on.
func (s *set) objects() []*config.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*config.Object
	for _, entries := range s.kinds {
		for _, e := range entries {
			if e.published != nil {
				all = append(all, e.published)
			}
		}
	}
	return all
}

// identity returns what a writer of statuses has to know of an object.
func (s *set) identity(key config.Key) (Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.kinds[groupKind{key.Group, key.Kind}][types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]
	if e == nil || e.identity == nil {
		return Identity{}, false
	}
	return *e.identity, true
}

// same says whether two versions of an object say the same.
func same(a, b *config.Object) bool {
	return a.Version == b.Version && a.Created == b.Created && bytes.Equal(a.Text(), b.Text()) &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}
