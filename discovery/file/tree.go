package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluicegate/sluice/config"
)

// entry is a file that counts.
type entry struct {
	// The path is the root as it was named, and from there.
	place
	// real is the path without symbolic links, which is what events name.
	real string
	// linked: it was reached through a link, or named itself.
	linked bool
	info   fs.FileInfo
}

// tree is what lies under the roots, as far as it counts.
type tree struct {
	// files by their real path: what can be reached in two ways is there once.
	files map[string]*entry
	// folders maps the real path of each folder listed to where it was found.
	folders map[string]place
	// trail holds the real paths outside the folders, and the links inside, that
	// lead to files: a change to any of them can change everything.
	trail map[string]bool
	// faults are what is wrong with roots, folders and links.
	faults []config.Condition
	// roots as they were named, without a slash at the end.
	roots []string
	// unseen are the places that could not be looked into: what was found at or
	// below them before is still taken to be there.
	unseen []place
}

// place is where something was found: its path as people know it, and the index of
// its root.
type place struct {
	path string
	root int
}

// watch is told of each folder before it, or a file in it, is looked at. need says that
// files in it are read, so that writes to them count: it is not just on the way to some.
type watch func(folder string, need bool)

// look walks the roots. Real files and folders are taken before symbolic links, so
// that what can be reached in two ways goes by its plain path.
func look(roots []string, watch watch) *tree {
	w := walker{
		tree: &tree{
			files:   make(map[string]*entry),
			folders: make(map[string]place),
			trail:   make(map[string]bool),
			roots:   roots,
		},
		watch: watch,
	}
	for i, root := range roots {
		w.root(i, root)
	}
	for len(w.links) > 0 {
		l := w.links[0]
		w.links = w.links[1:]
		w.follow(l)
	}
	return w.tree
}

type walker struct {
	*tree
	watch watch
	// links are those found and not yet followed.
	links []link
}

// link is a symbolic link in a folder.
type link struct {
	place
	folder, name string
}

// step notes a path on the way to files.
func (w *walker) step(path string) {
	w.trail[path] = true
	w.watch(filepath.Dir(path), false)
}

func (w *walker) root(i int, path string) {
	at := place{path, i}
	abs, err := filepath.Abs(path)
	if err != nil {
		w.missing(at, err)
		return
	}
	t := top(abs)
	real, err := resolve(t, strings.TrimPrefix(abs, t), w.step)
	if err != nil {
		w.missing(at, err)
		return
	}
	info, err := w.stat(real, true)
	switch {
	case err != nil:
		w.missing(at, err)
	case info.IsDir():
		w.folder(real, at)
	case info.Mode().IsRegular():
		w.file(&entry{place: at, real: real, linked: true, info: info})
	default:
		w.missing(at, errors.New("neither a folder nor a regular file"))
	}
}

// missing notes a root that is not there.
func (w *walker) missing(at place, err error) {
	reason := ReasonUnreadable
	if errors.Is(err, fs.ErrNotExist) {
		reason = ReasonMissing
	}
	w.unseen = append(w.unseen, at)
	w.faults = append(w.faults, config.Condition{
		Severity: config.Error, Reason: reason, Object: folderKey(at.path),
		Message: fmt.Sprintf("%s. Create it, or name another one; until then what it gave before stays in force", plain(err)),
	})
}

// folder lists a folder and those below it.
func (w *walker) folder(real string, at place) {
	if _, seen := w.folders[real]; seen {
		return
	}
	w.folders[real] = at
	w.watch(real, true)
	list, err := os.ReadDir(real)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.unseen = append(w.unseen, at)
		w.faults = append(w.faults, config.Condition{
			Severity: config.Error, Reason: ReasonUnreadable, Object: folderKey(at.path),
			Message: fmt.Sprintf("%s. Let this process read it; until then what it gave before stays in force", plain(err)),
		})
	}
	for _, e := range list {
		if !skipped(e.Name()) {
			w.listed(real, at, e)
		}
	}
}

// listed takes one entry of a folder.
func (w *walker) listed(folder string, at place, e fs.DirEntry) {
	here := place{filepath.Join(at.path, e.Name()), at.root}
	real := filepath.Join(folder, e.Name())
	switch {
	case e.IsDir():
		w.folder(real, here)
	case e.Type()&fs.ModeSymlink != 0:
		w.links = append(w.links, link{here, folder, e.Name()})
	case e.Type().IsRegular() && isConfig(e.Name()):
		// A file that has gone since the folder was listed is not there.
		if info, err := e.Info(); err == nil {
			w.file(&entry{place: here, real: real, info: info})
		}
	}
}

// file adds a file, unless it was found already.
func (w *walker) file(e *entry) {
	if _, seen := w.files[e.real]; !seen {
		w.files[e.real] = e
	}
	// A file's own events are told apart from those of the way to it.
	delete(w.trail, e.real)
}

// follow takes what a symbolic link leads to.
func (w *walker) follow(l link) {
	real, err := resolve(l.folder, l.name, w.step)
	var info fs.FileInfo
	if err == nil {
		info, err = w.stat(real, isConfig(l.name))
	}
	switch {
	case err != nil:
		w.unseen = append(w.unseen, l.place)
		w.faults = append(w.faults, config.Condition{
			Severity: config.Warning, Reason: ReasonLink, Object: fileKey(l.path), File: l.path,
			Message: fmt.Sprintf("the symbolic link leads nowhere: %s. Mend or remove it; until then what it gave before stays in force", plain(err)),
		})
	case info.IsDir():
		w.folder(real, l.place)
	case info.Mode().IsRegular() && isConfig(l.name):
		w.file(&entry{place: l.place, real: real, linked: true, info: info})
	}
}

// stat looks at what a root or a link leads to. If that is a file, and one that counts,
// its folder is watched for writes before the file is looked at for good.
func (w *walker) stat(real string, counts bool) (fs.FileInfo, error) {
	info, err := os.Stat(real)
	if err == nil && counts && info.Mode().IsRegular() {
		w.watch(filepath.Dir(real), true)
		info, err = os.Stat(real)
	}
	return info, err
}

// plain says what failed without naming the system call.
func plain(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s: %v", pe.Path, pe.Err)
	}
	return err.Error()
}

// hides says whether a file found earlier is at or below a place that could not be
// looked into.
func (t *tree) hides(at place) bool {
	for _, u := range t.unseen {
		if u.root == at.root && (u.path == t.roots[u.root] || u.path == at.path ||
			strings.HasPrefix(at.path, u.path+string(filepath.Separator))) {
			return true
		}
	}
	return false
}

// entry returns a file of a listed folder, whether or not it was known.
func (t *tree) entry(real string) entry {
	if known := t.files[real]; known != nil {
		return *known
	}
	folder := t.folders[filepath.Dir(real)]
	return entry{place: place{filepath.Join(folder.path, filepath.Base(real)), folder.root}, real: real}
}
