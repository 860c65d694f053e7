package file

import (
	"errors"
	"io/fs"
	"os"
)

// watch asks the kernel for a folder's events, unless it was asked already and the
// path still leads to the same folder.
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
	if old, ok := w.watched[folder]; ok && os.SameFile(old, info) {
		return
	}
	w.unwatch(folder)
	w.unwatchAliases(info)
	switch err := w.notify.Add(folder); {
	case err == nil:
		w.watched[folder] = info
	case need && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		w.unwatched++
		w.refusal = err
	}
}

// unwatchAliases ends the watching of a folder under the name that it had before it
// was moved: the kernel would go on to report its events under that.
func (w *watcher) unwatchAliases(info fs.FileInfo) {
	if w.tree == nil {
		return // Nothing can have been moved before the first look.
	}
	for folder, old := range w.watched {
		if os.SameFile(old, info) {
			w.unwatch(folder)
		}
	}
}

// unwatch ends the watching of a folder, which may have ended by itself.
func (w *watcher) unwatch(folder string) {
	if w.notify != nil {
		_ = w.notify.Remove(folder)
	}
	delete(w.watched, folder)
}

// forgetLostWatches drops the folders that the kernel no longer watches.
func (w *watcher) forgetLostWatches() {
	if w.notify == nil {
		return
	}
	real := make(map[string]bool)
	for _, folder := range w.notify.WatchList() {
		real[folder] = true
	}
	for folder := range w.watched {
		if !real[folder] {
			delete(w.watched, folder)
		}
	}
}
