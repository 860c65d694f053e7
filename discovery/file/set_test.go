package file

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// TestSetFollows changes a few files at random, which share the names of objects: what the
// deltas add up to, with files and lines, and what is said to be wrong, is what a set has that
// never saw another version of files in order, and of each other one all versions by itself.
// SLUICE_CHANGES is how many seeds to try.
func TestSetFollows(t *testing.T) {
	t.Parallel()
	seeds := 40
	if n, err := strconv.Atoi(os.Getenv("SLUICE_CHANGES")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		files := &files{Rand: rand.New(rand.NewPCG(uint64(seed), 5)), texts: map[string][]string{}}
		s, f := newSet(), newFollower(t)
		for step := range 40 {
			// Each file has one version in a delta.
			for _, i := range files.Perm(3)[:1+files.IntN(3)] {
				files.change(s, string(rune('p'+i))+".yaml")
			}
			if d, changed := s.delta(nil); changed {
				f.apply(d)
			}
			want := newFollower(t)
			d, _ := files.again().delta(nil)
			want.apply(d)
			if a, b := standingOf(f), standingOf(want); a != b {
				t.Fatalf("seed %d, step %d:\n%v\n got %s\nwant %s", seed, step, files.texts, a, b)
			}
		}
	}
}

// TestMoveToATwin: where the first of two documents that say the same goes, the object stands
// where the second does.
func TestMoveToATwin(t *testing.T) {
	t.Parallel()
	s, f := newSet(), newFollower(t)
	for _, names := range []string{"b=1", "b=1 b=1", "d=1 b=1"} {
		s.replace("p.yaml", readVersion("p.yaml", objects(names), s.files["p.yaml"]))
		d, _ := s.delta(nil)
		f.apply(d)
	}
	if line := f.lines[key("b")]; line != 9 {
		t.Errorf("the object is said to stand at line %d, not 9", line)
	}
}

// standingOf writes what is in force, where it stands, and what is wrong.
func standingOf(f *follower) string {
	var b strings.Builder
	for _, key := range slices.SortedFunc(maps.Keys(f.objects), compareKeys) {
		o := f.objects[key]
		fmt.Fprintf(&b, "%s=%s %s:%d\n", key.Name, o.Labels["v"], o.File, f.lines[key])
	}
	for _, c := range f.conditions {
		fmt.Fprintln(&b, c.Severity, c.Reason, c)
	}
	return b.String()
}

// files are all versions of some files.
type files struct {
	*rand.Rand
	texts map[string][]string
}

// change writes a file anew, or removes it.
func (f *files) change(s *set, path string) {
	if f.IntN(8) == 0 {
		if s.files[path] != nil {
			s.replace(path, nil)
		}
		delete(f.texts, path)
		return
	}
	text := f.text()
	if old := f.texts[path]; len(old) > 0 && f.IntN(2) == 0 {
		docs := strings.SplitAfter(old[len(old)-1], "---\n")
		i := f.IntN(len(docs))
		docs = slices.Replace(docs, i, i+f.IntN(2), text+"---\n")
		text = strings.Join(docs[:min(len(docs), 8)], "")
	}
	f.texts[path] = append(f.texts[path], text)
	s.replace(path, readVersion(path, text, s.files[path]))
}

// text is one document, or some.
func (f *files) text() string {
	name, value := string(rune('a'+f.IntN(4))), fmt.Sprint(f.IntN(3))
	switch f.IntN(16) {
	case 0:
		return strings.Repeat("# a comment\n", 1+f.IntN(3))
	case 1:
		return broken
	case 2:
		return ""
	case 3:
		return "kind: VirtualService\nmetadata: {name: " + name + "}\n"
	case 4:
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + ", labels: 7}\n"
	case 5:
		indented := "- " + strings.ReplaceAll(strings.TrimSuffix(object(name, value), "\n"), "\n", "\n  ") + "\n"
		return "apiVersion: v1\nkind: List\nitems:\n" + indented + strings.ReplaceAll(indented, "'"+name+"'", "b")
	case 6, 7:
		return objects(fmt.Sprintf("%s=%s b=1 %s=%s", name, value, name, value))
	}
	return object(name, value)
}

// readVersion reads a version of a file.
func readVersion(path, text string, had *content) *content {
	d := &draft{content: content{place: place{path: path}}, had: had}
	d.take([]byte(text))
	parse([]*draft{d})
	d.keepTexts()
	return d.finish()
}

// again reads the files anew, in another order. Where the last version of one has an error, what
// it comes to depends on those before.
func (f *files) again() *set {
	s := newSet()
	for _, path := range slices.SortedFunc(maps.Keys(f.texts), func(a, b string) int { return cmp.Compare(b, a) }) {
		all := f.texts[path]
		last := readVersion(path, all[len(all)-1], nil)
		if last.faulty || slices.ContainsFunc(last.conditions, func(c config.Condition) bool { return c.Reason != ReasonDuplicate }) {
			last = nil
			for _, text := range all {
				last = readVersion(path, text, last)
			}
		}
		s.replace(path, last)
	}
	return s
}
