package file

import (
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
)

// finish decides what of the draft is in force.
func (d *draft) finish() *content {
	if d.unchanged() {
		c := *d.had
		c.place, c.info, c.readAt = d.place, d.info, d.readAt
		return &c
	}
	d.troubles = d.found()
	for _, i := range slices.Sorted(maps.Keys(d.troubles)) {
		wrong := d.troubles[i]
		d.faulty = d.faulty || wrong.broken
		for _, c := range wrong.conditions {
			if c.Line > 0 {
				c.Line += int(d.docs[i].line - wrong.line)
			}
			d.conditions = append(d.conditions, c)
		}
	}
	had := d.had != nil && len(d.had.objects) > 0
	switch {
	case d.unread:
		d.faulty = true
	case d.faulty && had:
		d.fault(ReasonKept, "it has errors; mend them")
	case d.hollow && had:
		d.fault(ReasonEmpty, "the file is empty, as if it were about to be written. Delete it, or leave a comment in it, to remove its objects")
	}
	d.faulty = d.faulty || d.hollow
	if d.faulty && had {
		d.docs, d.objects, d.details, d.troubles = d.had.docs, d.had.objects, d.had.details, d.had.troubles
		d.keys, d.distinct = d.had.keys, d.had.distinct
	} else {
		d.assemble()
		d.index()
		if d.carry() {
			d.index()
		}
	}
	d.conditions = append(d.conditions, d.duplicates()...)
	c := d.content
	return &c
}

// unchanged says whether the file is what it was, every document at its line.
func (d *draft) unchanged() bool {
	if d.had == nil || d.unread || d.hollow || d.had.faulty || len(d.docs) != len(d.had.docs) {
		return false
	}
	for i, doc := range d.docs {
		if d.before(i) != i || doc.line != d.had.docs[i].line {
			return false
		}
	}
	return true
}

// found returns what is wrong with the documents of this version; nil for nothing.
func (d *draft) found() (all map[int]*trouble) {
	note := func(i int, t *trouble) {
		if all == nil {
			all = make(map[int]*trouble)
		}
		all[i] = t
	}
	for _, f := range d.fresh {
		if f.trouble != nil {
			note(f.at, f.trouble)
		}
	}
	if d.had == nil || len(d.had.troubles) == 0 {
		return all
	}
	for i, was := range d.was {
		if t := d.had.troubles[int(was)]; t != nil {
			note(i, t)
		}
	}
	return all
}

// assemble lists what the documents hold, one after the other.
func (d *draft) assemble() {
	n, whole := 0, true
	fresh := d.fresh
	for i := range d.docs {
		objects, details := d.part(i, &fresh)
		n += len(objects)
		whole = whole && details == nil
		d.docs[i].end = int32(n)
	}
	d.objects = make([]*config.Object, 0, n)
	if !whole {
		d.details = make([]detail, 0, n)
	}
	fresh = d.fresh
	for i := range d.docs {
		objects, details := d.part(i, &fresh)
		d.objects = append(d.objects, objects...)
		switch {
		case whole:
		case details == nil && len(objects) > 0:
			d.details = append(d.details, detail{digest: d.docs[i].digest})
		default:
			d.details = append(d.details, details...)
		}
	}
}

// part returns what a document holds: what it held in the version before, or else what the first
// of the fresh ones does, which it takes.
func (d *draft) part(doc int, fresh *[]unparsed) ([]*config.Object, []detail) {
	if was := d.before(doc); was >= 0 {
		return d.had.of(was)
	}
	first := &(*fresh)[0]
	*fresh = (*fresh)[1:]
	return first.objects, first.details
}

// carry takes over the last versions of objects that have an error of their own now,
// each as a document without text; but for those of which another version is in order. It returns
// whether there are any.
func (d *draft) carry() bool {
	// All objects of a file may have an error at once: those that are carried are not looked
	// through for each other's keys, and join the ones that were indexed at the end.
	var carried []*config.Object
	known := make(map[config.Key]struct{})
	for _, i := range slices.Sorted(maps.Keys(d.troubles)) {
		for _, key := range d.troubles[i].refused {
			at, there := d.had.find(key)
			if !there {
				continue
			}
			old := d.had.item(at)
			if _, twice := known[key]; !twice && d.get(key) == nil {
				known[key] = struct{}{}
				carried = append(carried, old.Object)
			}
			d.docs = append(d.docs, document{line: int32(old.line), end: int32(len(d.objects) + len(carried))})
		}
	}
	d.objects = append(d.objects, carried...)
	if d.details != nil {
		d.details = append(d.details, make([]detail, len(carried))...)
	}
	return len(carried) > 0
}
