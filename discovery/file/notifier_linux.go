package file

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// exchanged are the events of names that come, go and move.
	exchanged = unix.IN_CREATE | unix.IN_DELETE | unix.IN_DELETE_SELF |
		unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MOVE_SELF
	// passage are the events of a folder on the way to files. Permissions are among
	// them: a change can open the way.
	passage = exchanged | unix.IN_ATTRIB
	// texts are the events of a folder whose files are read.
	texts = passage | unix.IN_MODIFY
)

// notifier puts into an inbox what happens in folders. It asks the kernel by itself,
// since package fsnotify always asks for writes: a log beside the configuration would
// wake us with every line.
type notifier struct {
	inbox *inbox
	file  *os.File
	conn  syscall.RawConn
	// done is closed when nothing is read any more.
	done chan struct{}

	mu sync.Mutex
	// folders by the number of their watch, and the other way round. What comes late of
	// a watch that was ended has a number that is not here: the kernel goes through
	// all of 31 bits before it gives one again.
	folders map[int32]string
	watches map[string]int32
	// failure is why nothing is read any more.
	failure error
}

func newNotifier(in *inbox) (*notifier, error) {
	// A descriptor that does not block waits together with those of sockets, and
	// closing it ends the waiting.
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	n := &notifier{
		inbox: in, file: file, conn: conn, done: make(chan struct{}),
		folders: make(map[int32]string), watches: make(map[string]int32),
	}
	go n.read()
	return n, nil
}

// close ends all watches.
func (n *notifier) close() {
	n.file.Close()
	<-n.done
}

// add watches a folder, or changes whether writes to its files count.
func (n *notifier) add(folder string, writes bool) error {
	mask := uint32(passage | unix.IN_ONLYDIR)
	if writes {
		mask = texts | unix.IN_ONLYDIR
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failure != nil {
		return n.failure
	}
	var number int
	if err := n.control(func(fd int) (err error) {
		number, err = unix.InotifyAddWatch(fd, folder, mask)
		return err
	}); err != nil {
		return err
	}
	watch := int32(number)
	// The folder may have had another name, and the name another folder.
	if name, known := n.folders[watch]; known && name != folder {
		delete(n.watches, name)
	}
	if old, known := n.watches[folder]; known && old != watch {
		n.end(old)
	}
	n.folders[watch], n.watches[folder] = folder, watch
	return nil
}

// remove ends the watching of a folder, which may have ended by itself.
func (n *notifier) remove(folder string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if watch, known := n.watches[folder]; known {
		n.end(watch)
	}
}

// list returns the folders that are watched.
func (n *notifier) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.watches))
}

func (n *notifier) end(watch int32) {
	n.forget(watch)
	_ = n.control(func(fd int) error {
		_, err := unix.InotifyRmWatch(fd, uint32(watch))
		return err
	})
}

func (n *notifier) forget(watch int32) {
	delete(n.watches, n.folders[watch])
	delete(n.folders, watch)
}

// control makes a system call while nobody can close the descriptor.
func (n *notifier) control(call func(fd int) error) error {
	var err error
	if closed := n.conn.Control(func(fd uintptr) { err = call(int(fd)) }); closed != nil {
		return closed
	}
	return err
}

// read takes events until the notifier is closed.
func (n *notifier) read() {
	defer close(n.done)
	buffer := make([]byte, 16<<10)
	for {
		size, err := n.file.Read(buffer)
		if err != nil {
			n.fail(err)
			return
		}
		n.take(buffer[:size])
	}
}

// fail notes that no event will come any more: no folder is watched.
func (n *notifier) fail(err error) {
	n.mu.Lock()
	n.failure = err
	clear(n.folders)
	clear(n.watches)
	n.mu.Unlock()
	n.inbox.lose()
}

// take puts the events of a buffer into the inbox.
func (n *notifier) take(buffer []byte) {
	for len(buffer) > 0 {
		r, rest, ok := cut(buffer)
		if !ok || r.mask&unix.IN_Q_OVERFLOW != 0 {
			n.inbox.lose()
		} else if folder, known := n.folder(r); known {
			n.inbox.put(filepath.Join(folder, string(r.name)), r.mask&exchanged != 0)
		}
		buffer = rest
	}
}

// folder returns the folder that an event happened in. It is not known if the folder
// is watched no more, or if that is all that the event says.
func (n *notifier) folder(r record) (folder string, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.mask&unix.IN_IGNORED != 0 {
		n.forget(r.watch)
	}
	folder, known = n.folders[r.watch]
	return folder, known && r.mask&texts != 0
}
