package metrics

import (
	"slices"
	"testing"
)

// TestFamilyWithOneHash: series whose labels have the same hash are told apart, and go one by one.
func TestFamilyWithOneHash(t *testing.T) {
	t.Parallel()
	name := "destination_app"
	columns := []column{{name: &name, tag: -1}}
	list := make([]*series, 4)
	for i, value := range []string{"a", "b", "c", "d"} {
		list[i] = &series{labels: &labels{columns, []string{value}}}
		if i > 0 {
			list[i-1].next = list[i]
		}
	}
	f := family{byHash: map[uint64]*series{}, size: len(list)}
	for _, s := range list {
		f.byHash[s.labels.hash()] = list[0]
	}
	for _, s := range list {
		if f.find(&labels{columns, slices.Clone(s.labels.values)}) != s {
			t.Errorf("%q: another series", s.labels.values[0])
		}
	}
	f.byHash = map[uint64]*series{7: list[0]}
	f.drop(func(s *series) bool { return s == list[0] || s == list[2] })
	if rest := slices.Collect(f.all()); f.size != 2 || len(rest) != 2 || !slices.Contains(rest, list[1]) || !slices.Contains(rest, list[3]) {
		t.Errorf("%d series, %d of them found", f.size, len(rest))
	}
	if !list[0].gone || list[1].gone || !list[2].gone || list[3].gone {
		t.Error("what is gone does not say so")
	}
	f.drop(func(*series) bool { return true })
	if f.size != 0 || len(f.byHash) != 0 {
		t.Errorf("%d series, %d hashes", f.size, len(f.byHash))
	}
}

// TestLabelsEqual: labels under another name are others.
func TestLabelsEqual(t *testing.T) {
	t.Parallel()
	one, two := "one", "two"
	a := &labels{[]column{{name: &one}}, []string{"x"}}
	same := &labels{[]column{{name: &one}}, []string{"x"}}
	for _, b := range []*labels{{[]column{{name: &two}}, []string{"x"}}, {[]column{{name: &one}}, []string{"y"}}, {}} {
		if a.equal(b) || a.hash() == b.hash() {
			t.Errorf("%v is as %v", a.pairs(), b.pairs())
		}
	}
	if !a.equal(same) || a.hash() != same.hash() {
		t.Error("the same labels differ")
	}
}
