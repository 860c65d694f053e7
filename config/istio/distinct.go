package istio

import "slices"

// distinct is a list of strings in which each is once, in the order in which they came.
type distinct struct {
	list []string
	// seen are those of a long list; nil for a short one, which is looked through.
	seen map[string]struct{}
}

// fewStrings is up to how many strings are looked through.
const fewStrings = 16

// has says whether a string is in the list.
func (d *distinct) has(s string) bool {
	if d.seen == nil {
		return slices.Contains(d.list, s)
	}
	_, ok := d.seen[s]
	return ok
}

// add adds a string that the list does not have.
func (d *distinct) add(s string) {
	if d.has(s) {
		return
	}
	if d.seen == nil && len(d.list) == fewStrings {
		d.seen = make(map[string]struct{}, 4*fewStrings)
		for _, s := range d.list {
			d.seen[s] = struct{}{}
		}
	}
	if d.seen != nil {
		d.seen[s] = struct{}{}
	}
	d.list = append(d.list, s)
}
