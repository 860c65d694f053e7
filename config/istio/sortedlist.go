package istio

import "slices"

// sortedList is a list in order of which one item changes at a time, or nearly all: what is to
// be in it is noted, and done when somebody asks for the list. The zero value has no order yet
// and must be given one.
type sortedList[T comparable] struct {
	compare func(a, b T) int
	items   []T
	// noted says of items whether they are to be in the list.
	noted map[T]bool
}

// set notes that an item is to be in the list, in the place of one that compares equal, or not.
func (l *sortedList[T]) set(item T, in bool) {
	if l.noted == nil {
		l.noted = map[T]bool{}
	}
	l.noted[item] = in
}

// few is how many changes are made where they stand. More are made in one pass over the list.
const few = 8

// list returns the items in order. The next call may change the slice.
func (l *sortedList[T]) list() []T {
	if len(l.noted) == 0 {
		return l.items
	}
	var in, out []T
	for item, wanted := range l.noted {
		if wanted {
			in = append(in, item)
		} else {
			out = append(out, item)
		}
	}
	l.noted = nil
	if len(in)+len(out) <= few {
		l.change(in, out)
	} else {
		l.merge(in, out)
	}
	return l.items
}

func (l *sortedList[T]) change(in, out []T) {
	for _, item := range out {
		if at, found := slices.BinarySearchFunc(l.items, item, l.compare); found {
			l.items = slices.Delete(l.items, at, at+1)
		}
	}
	for _, item := range in {
		at, found := slices.BinarySearchFunc(l.items, item, l.compare)
		if found {
			l.items[at] = item
		} else {
			l.items = slices.Insert(l.items, at, item)
		}
	}
}

func (l *sortedList[T]) merge(in, out []T) {
	slices.SortFunc(in, l.compare)
	slices.SortFunc(out, l.compare)
	items := make([]T, 0, max(len(l.items)+len(in)-len(out), len(in)))
	for _, old := range l.items {
		for len(in) > 0 && l.compare(in[0], old) < 0 {
			items, in = append(items, in[0]), in[1:]
		}
		for len(out) > 0 && l.compare(out[0], old) < 0 {
			out = out[1:]
		}
		switch {
		case len(in) > 0 && l.compare(in[0], old) == 0:
		case len(out) > 0 && l.compare(out[0], old) == 0:
		default:
			items = append(items, old)
		}
	}
	l.items = append(items, in...)
}
