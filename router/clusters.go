package router

import "slices"

// ClusterRef names a cluster. ID is its index in [Table.Clusters], which is nil there
// while no such cluster exists; where the route names none at all, ID is -1. So a
// request finds no cluster, 503 with flag NC, where id < 0 || clusters[id] == nil.
//
// An ID is dense, and the same in every table for as long as a route or the Spec
// names the cluster. It may then come to mean another: look it up in the table that
// made the decision.
type ClusterRef struct {
	Name string
	ID   int
}

// clusterSet gives the clusters that are named anywhere their IDs. It never changes.
type clusterSet struct {
	ids cowMap[int32]
	// defined, names and uses are by ID; uses counts the virtual hosts and chains that name
	// a cluster, and the Spec that defines it.
	defined []*Cluster
	names   []string
	uses    []int32
	// free are the IDs that nothing uses, the longest unused first.
	free []int32
	// repeated: the Spec defines a name twice.
	repeated bool
}

// unused marks the uses of a free ID.
const unused = -1

// clusterEdit is a clusterSet that is being changed.
type clusterEdit struct {
	old *clusterSet
	ids *cowEdit[int32]

	defined []*Cluster
	names   []string
	uses    []int32
	free    []int32
	// released are IDs that have lost a user, and may be free at the end.
	released []int32
	// ownNames and ownDefined: the slice is no longer shared with old.
	ownNames, ownDefined bool
	repeated             bool
}

// edit begins a changed copy of a set.
func (s *clusterSet) edit(growth int) *clusterEdit {
	return &clusterEdit{
		old: s, ids: s.ids.edit(growth),
		defined: s.defined, names: s.names, uses: slices.Clone(s.uses), free: s.free, repeated: s.repeated,
	}
}

// use counts one more user of an ID.
func (e *clusterEdit) use(id int32) { e.uses[id]++ }

// release takes one user back. The ID stays until the end of the edit, so that who
// names the cluster in the same build finds it unchanged.
func (e *clusterEdit) release(id int32) {
	e.uses[id]--
	if e.uses[id] == 0 {
		e.released = append(e.released, id)
	}
}

// clusterUse is what one owner of references uses.
type clusterUse struct {
	edit *clusterEdit
	// ids are those of the clusters used, each once.
	ids  []int32
	used map[int]bool
}

// resolve gives a reference its ID. It does not touch one that is right, as those are
// that older tables share.
func (u *clusterUse) resolve(ref *ClusterRef) {
	if ref.Name == "" {
		return
	}
	if id := int(u.edit.intern(ref.Name)); ref.ID != id {
		ref.ID = id
	}
	if u.used[ref.ID] {
		return
	}
	if u.used == nil {
		u.used = map[int]bool{}
	}
	u.used[ref.ID] = true
	u.ids = append(u.ids, int32(ref.ID))
	u.edit.use(int32(ref.ID))
}

// intern returns the ID for a name.
func (e *clusterEdit) intern(name string) int32 {
	if id, ok := e.ids.lookup(name); ok {
		return id
	}
	e.own()
	var id int32
	if len(e.free) > 0 {
		id, e.free = e.free[0], e.free[1:]
		e.names[id], e.uses[id] = name, 0
	} else {
		id = int32(len(e.names))
		e.names = append(e.names, name)
		e.defined = append(e.defined, nil)
		e.uses = append(e.uses, 0)
	}
	e.ids.set(name, id)
	// Until somebody uses it.
	e.released = append(e.released, id)
	return id
}

// own makes names and definitions the edit's own.
func (e *clusterEdit) own() {
	if !e.ownNames {
		e.names = slices.Clone(e.names)
		e.ownNames = true
	}
	e.ownDefinitions()
}

func (e *clusterEdit) ownDefinitions() {
	if !e.ownDefined {
		e.defined = slices.Clone(e.defined)
		e.ownDefined = true
	}
}

// define brings the definitions from those of one Spec to those of the next, and
// returns the clusters whose name another one holds: the first has it.
func (e *clusterEdit) define(old, new []*Cluster) (repeated []*Cluster) {
	hunks := diff(old, new)
	if len(hunks) == 0 {
		return e.repeats(new)
	}
	e.ownDefinitions()
	e.repeated = false
	for _, h := range hunks {
		e.removeDefinitions(old[h.oldFrom:h.oldTo])
	}
	for _, h := range hunks {
		e.addDefinitions(new[h.newFrom:h.newTo])
	}
	if e.repeated || e.old.repeated {
		// Which of several holds a name depends on the whole list.
		e.removeDefinitions(slices.Clone(e.defined))
		e.repeated = false
		e.addDefinitions(new)
	}
	return e.repeats(new)
}

func (e *clusterEdit) removeDefinitions(clusters []*Cluster) {
	for _, c := range clusters {
		if c == nil {
			continue
		}
		if id, ok := e.ids.lookup(c.Name); ok && e.defined[id] == c {
			e.defined[id] = nil
			e.release(id)
		}
	}
}

func (e *clusterEdit) addDefinitions(clusters []*Cluster) {
	for _, c := range clusters {
		id := e.intern(c.Name)
		if e.defined[id] != nil {
			e.repeated = true
			continue
		}
		e.defined[id] = c
		e.use(id)
	}
}

// repeats returns the clusters whose name another one holds.
func (e *clusterEdit) repeats(new []*Cluster) (repeated []*Cluster) {
	if !e.repeated {
		return nil
	}
	for _, c := range new {
		if id, _ := e.ids.lookup(c.Name); e.defined[id] != c {
			repeated = append(repeated, c)
		}
	}
	return repeated
}

// done returns the changed set.
func (e *clusterEdit) done() *clusterSet {
	// The old set has the list too, so that the first ID to be added copies it.
	e.free = slices.Clip(e.free)
	for _, id := range e.released {
		if e.uses[id] != 0 {
			continue
		}
		e.own()
		e.ids.delete(e.names[id])
		e.names[id], e.uses[id] = "", unused
		e.free = append(e.free, id)
	}
	return &clusterSet{
		ids: e.ids.cowMap, defined: e.defined, names: e.names, uses: e.uses, free: e.free, repeated: e.repeated,
	}
}
