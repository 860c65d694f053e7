package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
)

func TestFoldersAppearAndGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	write(t, filepath.Join(dir, "x/y/z/b.yaml"), objects("b=1"))
	f.wants("a=1 b=1")
	write(t, filepath.Join(dir, "x/y/c.yaml"), objects("c=1"))
	f.wants("a=1 b=1 c=1")
	write(t, filepath.Join(dir, "x/y/z/b.yaml"), objects("b=2"))
	f.wants("a=1 b=2 c=1")
	must(t, os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "w")))
	f.eventually("the new name", func() bool { return strings.Contains(f.objects[key("b")].File, "/w/y/") })
	write(t, filepath.Join(dir, "w/y/z/b.yaml"), objects("b=3"))
	f.wants("a=1 b=3 c=1")
	must(t, os.RemoveAll(filepath.Join(dir, "w")))
	f.wants("a=1")
	f.wantsReasons()
}

func TestFolderIsSwapped(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, next, old := filepath.Join(top, "conf"), filepath.Join(top, "conf.new"), filepath.Join(top, "conf.old")
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1 keep=1"))
	write(t, filepath.Join(dir, "sub/b.yaml"), objects("b=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	for i := range 5 {
		write(t, filepath.Join(next, "a.yaml"), objects(fmt.Sprintf("a=%d keep=1", i+2)))
		write(t, filepath.Join(next, "sub/b.yaml"), objects("b=1"))
		must(t, os.Rename(dir, old))
		must(t, os.Rename(next, dir))
		f.wants(fmt.Sprintf("a=%d b=1 keep=1", i+2))
		// The new folder is watched, and so is the one inside.
		replace(t, filepath.Join(dir, "sub/b.yaml"), objects(fmt.Sprintf("b=%d", i+2)))
		f.wants(fmt.Sprintf("a=%d b=%d keep=1", i+2, i+2))
		must(t, os.RemoveAll(old))
		replace(t, filepath.Join(dir, "sub/b.yaml"), objects("b=1"))
		f.wants(fmt.Sprintf("a=%d b=1 keep=1", i+2))
	}
	for _, d := range f.seen(1) {
		if len(d.Removed) > 0 || len(d.Set) > 1 {
			t.Errorf("one object changed in a swap, and %+v came", d)
		}
	}
}

func TestConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount := func(version, names string) {
		write(t, filepath.Join(dir, version, "routes.yaml"), objects(names))
		write(t, filepath.Join(dir, version, "more.yaml"), objects("more=1"))
		must(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	mount("..2026_1", "a=1")
	for _, name := range []string{"routes.yaml", "more.yaml"} {
		must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	f.wants("a=1 more=1")
	for i := range 4 {
		mount(fmt.Sprintf("..2026_%d", i+2), fmt.Sprintf("a=%d", i+2))
		must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..2026_%d", i+1))))
		f.wants(fmt.Sprintf("a=%d more=1", i+2))
	}
	for _, d := range f.seen(1) {
		if len(d.Removed)+len(d.Conditions) > 0 || len(d.Set) != 1 {
			t.Errorf("one object of the ConfigMap changed, and %+v came", d)
		}
	}
	if file := f.objects[key("a")].File; file != filepath.Join(dir, "routes.yaml") {
		t.Errorf("the object is said to stand in %s", file)
	}
}

func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, elsewhere := filepath.Join(top, "conf"), filepath.Join(top, "elsewhere")
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	write(t, filepath.Join(elsewhere, "b.yaml"), objects("b=1"))
	write(t, filepath.Join(elsewhere, "text"), objects("c=1"))
	link := func(target, name string) { must(t, os.Symlink(target, filepath.Join(dir, name))) }
	link(elsewhere, "folder")
	link("../elsewhere/text", "c.yaml")
	link(".", "myself")            // a cycle
	link("..", "up")               // a cycle with more in it
	link("ping.yaml", "ping.yaml") // a link to itself
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	f.wants("a=1 b=1 c=1")
	f.wantsReasons(ReasonLink)
	must(t, os.Remove(filepath.Join(dir, "ping.yaml")))
	f.wantsReasons()

	write(t, filepath.Join(elsewhere, "b.yaml"), objects("b=2"))
	f.wants("a=1 b=2 c=1")
	write(t, filepath.Join(elsewhere, "text"), objects("c=2"))
	f.wants("a=1 b=2 c=2")
	write(t, filepath.Join(elsewhere, "text.new"), objects("c=3"))
	must(t, os.Rename(filepath.Join(elsewhere, "text.new"), filepath.Join(elsewhere, "text")))
	f.wants("a=1 b=2 c=3")

	// A link that leads nowhere keeps what it led to, and heals.
	must(t, os.Rename(elsewhere, filepath.Join(top, "away")))
	f.wants("a=1 b=2 c=3")
	must(t, os.Remove(filepath.Join(dir, "up")))
	f.wantsReasons(ReasonLink, ReasonLink)
	f.wants("a=1 b=2 c=3")
	write(t, filepath.Join(elsewhere, "b.yaml"), objects("b=4"))
	write(t, filepath.Join(elsewhere, "text"), objects("c=4"))
	f.wants("a=1 b=4 c=4")
	f.wantsReasons()
	must(t, os.Remove(filepath.Join(dir, "folder")))
	f.wants("a=1 c=4")
}

func TestRootIsALinkThatIsExchanged(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	for i := range 3 {
		write(t, filepath.Join(top, fmt.Sprintf("app%d/conf/a.yaml", i)), objects(fmt.Sprintf("a=%d", i)))
	}
	current := filepath.Join(top, "current")
	must(t, os.Symlink("app0", current))
	f := follow(t, Options{Dirs: []string{filepath.Join(current, "conf")}, Rescan: -1})
	f.wants("a=0")
	for i := 1; i < 3; i++ {
		must(t, os.Symlink(fmt.Sprintf("app%d", i), current+".new"))
		must(t, os.Rename(current+".new", current))
		f.wants(fmt.Sprintf("a=%d", i))
	}
	write(t, filepath.Join(top, "app2/conf/a.yaml"), objects("a=9"))
	f.wants("a=9")
}

func TestRootVanishesAndComesBack(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir := filepath.Join(top, "some/where/conf")
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	f.wantsReasons(ReasonMissing)
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	f.wants("a=1")
	f.wantsReasons()

	must(t, os.RemoveAll(filepath.Join(top, "some")))
	f.wantsReasons(ReasonMissing)
	f.wants("a=1")
	write(t, filepath.Join(dir, "b.yaml"), objects("b=1"))
	f.wants("b=1")
	f.wantsReasons()
	must(t, os.Rename(filepath.Join(top, "some"), filepath.Join(top, "other")))
	f.wantsReasons(ReasonMissing)
	must(t, os.Rename(filepath.Join(top, "other"), filepath.Join(top, "some")))
	f.wantsReasons()
	write(t, filepath.Join(dir, "b.yaml"), objects("b=2"))
	f.wants("b=2")
	// A folder that is there and empty is an answer.
	must(t, os.Remove(filepath.Join(dir, "b.yaml")))
	f.wants("")
}

func TestRootOfWhichNothingParsesChangesNothing(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, bad := filepath.Join(top, "conf"), filepath.Join(top, "bad")
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	write(t, filepath.Join(dir, "b.yaml"), objects("b=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	write(t, filepath.Join(bad, "b.yaml"), broken)
	write(t, filepath.Join(bad, "c.yaml"), broken)
	must(t, os.Rename(dir, filepath.Join(top, "old")))
	must(t, os.Rename(bad, dir))
	f.wantsReasons(ReasonKept, ReasonKept, config.BadYAML, config.BadYAML)
	f.wants("a=1 b=1")
	if n := f.losses(); n != 0 {
		t.Errorf("%d objects were taken away", n)
	}
	// One good file says that the folder is meant.
	write(t, filepath.Join(dir, "c.yaml"), objects("c=1"))
	f.wants("b=1 c=1")
	f.wantsReasons(ReasonKept, config.BadYAML)
	must(t, os.Remove(filepath.Join(dir, "b.yaml")))
	f.wants("c=1")
	f.wantsReasons()
}

func TestSingleFileAndSeveralRoots(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	one, dir := filepath.Join(top, "one"), filepath.Join(top, "dir")
	write(t, one, objects("a=1"))
	write(t, filepath.Join(top, "ignored.yaml"), objects("x=1"))
	write(t, filepath.Join(dir, "b.yaml"), objects("b=1"))
	f := follow(t, Options{Dirs: []string{one, dir + "/", filepath.Join(dir, ".")}, Rescan: -1})
	f.wants("a=1 b=1")
	f.wantsReasons()
	write(t, one, objects("a=2"))
	f.wants("a=2 b=1")
	write(t, one+".new", objects("a=3"))
	must(t, os.Rename(one+".new", one))
	f.wants("a=3 b=1")
	must(t, os.Remove(one))
	f.wantsReasons(ReasonMissing)
	f.wants("a=3 b=1")
}

func TestEditorsAndDroppings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, objects("a=1"))
	f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
	slow := 0 // times at which Vim took so long that the file counts as gone
	for i := range 5 {
		value := fmt.Sprintf("a=%d", i+2)
		// Vim: a swap file, the old text moved to a backup, the new text written.
		write(t, filepath.Join(dir, ".a.yaml.swp"), "b0VIM")
		write(t, filepath.Join(dir, "4913"), "")
		must(t, os.Remove(filepath.Join(dir, "4913")))
		moved := time.Now()
		must(t, os.Rename(path, path+"~"))
		write(t, path, objects(value))
		if time.Since(moved) > lossQuiet/2 {
			slow++
		}
		must(t, os.Remove(path+"~"))
		must(t, os.Remove(filepath.Join(dir, ".a.yaml.swp")))
		f.wants(value)
		// Emacs: a lock that is a dangling link, an autosave file.
		must(t, os.Symlink("me@here.1234", filepath.Join(dir, ".#a.yaml")))
		write(t, filepath.Join(dir, "#a.yaml#"), objects("half=1"))
		write(t, path, objects("a=emacs"))
		must(t, os.Remove(filepath.Join(dir, ".#a.yaml")))
		must(t, os.Remove(filepath.Join(dir, "#a.yaml#")))
		f.wants("a=emacs")
	}
	for _, d := range f.seen(1) {
		if len(d.Removed) == 0 {
			continue
		}
		if slow--; slow < 0 {
			t.Errorf("editing went through %+v", d)
		}
	}
}

// followUnwatched follows a folder or file of which the system gives no events.
func followUnwatched(t *testing.T, root string) *follower {
	t.Helper()
	f := newFollower(t)
	w := newWatcher(Options{Dirs: []string{root}, Rescan: -1}.withDefaults(), f.apply)
	w.refusal = os.ErrPermission
	w.first()
	run(t, w)
	f.wantsReasons(ReasonUnwatched)
	return f
}

func TestWithoutEventsFoldersArePolled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, objects("a=1"))
	f := followUnwatched(t, dir)
	write(t, path, objects("a=2"))
	f.wants("a=2")
	must(t, os.Remove(path))
	f.wants("")
}

func TestSingleFileIsPolledToo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, objects("a=1"))
	f := followUnwatched(t, path)
	write(t, path, objects("a=2"))
	f.wants("a=2")
}

func TestLostEventsLeadToALookAtEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	write(t, filepath.Join(dir, "b.yaml"), objects("b=1"))
	f := newFollower(t)
	// Without a notifier nothing arrives, as if the kernel's queue had overflowed. No
	// folder is said to be unwatched, so that nothing is polled.
	w := newWatcher(Options{Dirs: []string{dir}, Rescan: -1}.withDefaults(), f.apply)
	w.first()
	w.unwatched = 0
	write(t, filepath.Join(dir, "a.yaml"), objects("a=2"))
	must(t, os.Remove(filepath.Join(dir, "b.yaml")))
	write(t, filepath.Join(dir, "new/c.yaml"), objects("c=1"))
	run(t, w)
	w.inbox.lose()
	f.wants("a=2 c=1")
}

// What is wrong with the watching itself, and what stays in force for want of anything better, is
// told when it begins and when it ends, though no file changes with it.
func TestTroubleEndsByItself(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), filepath.Join(t.TempDir(), "b.yaml")
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, objects("a=1"))
	write(t, b, objects("b=1"))
	old := time.Now().Add(-time.Hour)
	must(t, errors.Join(os.Chtimes(a, old, old), os.Chtimes(b, old, old)))
	f := newFollower(t)
	w := newWatcher(Options{Dirs: []string{dir}, Rescan: -1}.withDefaults(), f.apply)
	w.first()
	f.wantsReasons(ReasonUnwatched)
	// The kernel has room for watches now. Nobody reads the events: they are lost.
	w.notify = notified(t, newInbox())
	run(t, w)
	f.wantsReasons()

	write(t, a, "{")
	must(t, os.Rename(b, away))
	w.inbox.lose()
	f.wantsReasons(ReasonKept, ReasonKept, config.BadYAML)
	must(t, os.Rename(away, b))
	w.inbox.lose()
	f.wantsReasons(ReasonKept, config.BadYAML)
	f.wants("a=1 b=1")
}

// Once folders cannot be watched they are looked at, however seldom that is done otherwise.
func TestUnwatchedLater(t *testing.T) {
	t.Parallel()
	dir, old := t.TempDir(), time.Now().Add(-time.Hour)
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	must(t, os.Chtimes(filepath.Join(dir, "a.yaml"), old, old))
	f := newFollower(t)
	w := newWatcher(Options{Dirs: []string{dir}, Rescan: -1}.withDefaults(), f.apply)
	w.first()
	// So far they could be watched.
	w.unwatched, w.told = 0, nil
	delta, _ := w.set.delta(nil)
	f.apply(delta)
	f.wantsReasons()
	run(t, w)
	w.inbox.lose() // the look that follows finds that nothing can be watched
	f.wantsReasons(ReasonUnwatched)
	write(t, filepath.Join(dir, "a.yaml"), objects("a=2"))
	f.wants("a=2")
}

func TestMissedEventsAreFoundByRescan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	f := newFollower(t)
	w := newWatcher(Options{Dirs: []string{dir}, Rescan: 20e6}.withDefaults(), f.apply)
	w.first()
	run(t, w)
	write(t, filepath.Join(dir, "a.yaml"), objects("a=2"))
	f.wants("a=2")
}

func TestInboxOverflows(t *testing.T) {
	t.Parallel()
	in := newInbox()
	for i := range maxWaiting + 1 {
		in.put(fmt.Sprint(i), false)
	}
	if events, lost := in.take(); !lost || len(events) != maxWaiting {
		t.Errorf("%d events wait, lost is %v", len(events), lost)
	}
	if events, lost := in.take(); lost || len(events) != 0 {
		t.Errorf("taken, and yet %d events wait, lost is %v", len(events), lost)
	}
}

// TestAnythingGoes does what file systems allow, in any order, and wants what Watch
// says in the end to be what Load finds.
func TestAnythingGoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "conf")
			must(t, os.Mkdir(dir, 0o755))
			f := follow(t, Options{Dirs: []string{dir}, Rescan: -1})
			c := chaos{t: t, r: rand.New(rand.NewPCG(seed, 0)), dir: dir, top: top}
			for range 12 {
				for range 1 + c.r.IntN(12) {
					c.step()
				}
				// One file that is in order, so that the folder counts.
				write(t, filepath.Join(dir, "anchor.yaml"), objects(fmt.Sprintf("anchor=%d", c.n)))
				f.wants(loaded(t, dir))
				f.wantsReasons(c.reasons()...)
			}
		})
	}
}

// chaos changes a folder at random.
type chaos struct {
	t        *testing.T
	r        *rand.Rand
	top, dir string
	n        int
}

func (c *chaos) path(ext string) string {
	path := c.dir
	for range c.r.IntN(3) {
		path = filepath.Join(path, string(rune('p'+c.r.IntN(3))))
	}
	return filepath.Join(path, string(rune('a'+c.r.IntN(4)))+ext)
}

// step does one thing. Most of what can fail (there is no such file, or there is a
// folder) may fail.
func (c *chaos) step() {
	c.n++
	path := c.path(".yaml")
	text := objects(fmt.Sprintf("%c=%d %c=%d", 'a'+c.r.IntN(20), c.n, 'a'+c.r.IntN(20), c.n))
	switch c.r.IntN(10) {
	case 0, 1, 2:
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		_ = os.WriteFile(path, []byte(text), 0o644)
	case 3:
		write(c.t, filepath.Join(c.top, "tmp"), text)
		_ = os.Rename(filepath.Join(c.top, "tmp"), path)
	case 4:
		_ = os.Remove(path)
	case 5:
		_ = os.Rename(path, c.path(".yaml"))
	case 6:
		_ = os.Rename(filepath.Dir(path), filepath.Dir(c.path("")))
	case 7:
		if filepath.Dir(path) != c.dir {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	case 8:
		_ = os.MkdirAll(path[:len(path)-len(".yaml")], 0o755)
	case 9:
		next := filepath.Join(c.top, "next")
		must(c.t, os.CopyFS(next, os.DirFS(c.dir)))
		_ = os.WriteFile(filepath.Join(next, "a.yaml"), []byte(text), 0o644)
		must(c.t, os.Rename(c.dir, filepath.Join(c.top, "old")))
		must(c.t, os.Rename(next, c.dir))
		must(c.t, os.RemoveAll(filepath.Join(c.top, "old")))
	}
}

// reasons are those of what Load complains about.
func (c *chaos) reasons() (all []config.Reason) {
	d, err := Load(c.dir)
	must(c.t, err)
	for _, x := range d.Conditions {
		all = append(all, x.Reason)
	}
	return slices.Clip(all)
}
