//go:build !linux

package file

import (
	"errors"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// notifier puts into an inbox what happens in folders.
type notifier struct {
	watcher *fsnotify.Watcher
	// done is closed when nothing is read any more.
	done chan struct{}
}

func newNotifier(in *inbox) (*notifier, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	n := &notifier{watcher: watcher, done: make(chan struct{})}
	go n.read(in)
	return n, nil
}

// close ends all watches.
func (n *notifier) close() {
	n.watcher.Close()
	<-n.done
}

// add watches a folder. Writes to its files always count: nothing else can be asked for.
func (n *notifier) add(folder string, _ bool) error { return n.watcher.Add(folder) }

// remove ends the watching of a folder, which may have ended by itself.
func (n *notifier) remove(folder string) { _ = n.watcher.Remove(folder) }

// list returns the folders that are watched.
func (n *notifier) list() []string { return n.watcher.WatchList() }

// read takes events until the notifier is closed.
func (n *notifier) read(in *inbox) {
	defer close(n.done)
	events, failures := n.watcher.Events, n.watcher.Errors
	for events != nil || failures != nil {
		select {
		case ev, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			// What lies in the top folder is reported as "//name".
			in.put(filepath.Clean(ev.Name), ev.Has(fsnotify.Create|fsnotify.Remove|fsnotify.Rename))
		case err, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				in.lose()
			}
		}
	}
}
