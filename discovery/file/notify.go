package file

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// asked is what the kernel was asked of a folder.
type asked struct {
	// info is the folder as it was.
	info fs.FileInfo
	// writes to its files are to be told of, too.
	writes bool
}

// watch asks the kernel for a folder's events, unless it was asked already and the
// path still leads to the same folder. One that is watched for more than is needed
// may be needed for that further on in the same look.
func (w *watcher) watch(folder string, need bool) {
	if w.notify == nil {
		if need {
			w.unwatched++
		}
		return
	}
	// The identity is taken first: if the folder is exchanged in between, it will
	// not match when it is next looked at.
	info, err := os.Stat(folder)
	if err != nil {
		return
	}
	old, ok := w.watched[folder]
	ok = ok && os.SameFile(old.info, info)
	if ok && (old.writes || !need) {
		return
	}
	if !ok {
		w.unwatch(folder)
		w.unwatchAliases(info)
	}
	err = w.ask(folder, asked{info, need})
	// One that was exchanged for a file meanwhile has gone, too.
	gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	if err != nil && need && !gone && !errors.Is(err, fs.ErrPermission) {
		w.unwatched++
		w.refusal = err
	}
}

// ask has the kernel watch a folder, or watch it for more or less than before.
func (w *watcher) ask(folder string, as asked) error {
	err := w.notify.add(folder, as.writes)
	if err == nil {
		w.watched[folder] = as
	}
	return err
}

// unwatchAliases ends the watching of a folder under the name that it had before it
// was moved: the kernel would go on to report its events under that.
func (w *watcher) unwatchAliases(info fs.FileInfo) {
	if w.tree == nil {
		return // Nothing can have been moved before the first look.
	}
	for folder, old := range w.watched {
		if os.SameFile(old.info, info) {
			w.unwatch(folder)
		}
	}
}

// unwatch ends the watching of a folder, which may have ended by itself.
func (w *watcher) unwatch(folder string) {
	if w.notify != nil {
		w.notify.remove(folder)
	}
	delete(w.watched, folder)
}

// forgetLostWatches drops the folders that the kernel no longer watches.
func (w *watcher) forgetLostWatches() {
	if w.notify == nil {
		return
	}
	real := make(map[string]bool)
	for _, folder := range w.notify.list() {
		real[folder] = true
	}
	for folder := range w.watched {
		if !real[folder] {
			delete(w.watched, folder)
		}
	}
}
