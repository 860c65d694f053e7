package socket

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Lot looks after sockets that nothing is expected from soon, in place of a goroutine for each,
// whose stack would be most of what an idle connection takes. One goroutine waits for all of
// them, at one descriptor that the kernel makes ready when one of them is.
//
// It is safe for concurrent use; the zero Lot is ready for it.
type Lot struct {
	parked  atomic.Int64
	crowded atomic.Bool

	mu sync.Mutex
	// file is the epoll instance, nil while there is none; broken tells that none is to be had.
	file   *os.File
	fd     int
	broken bool
	// slots are the sockets' by their descriptor: one that is closed was taken out before.
	slots []slot
}

type slot struct {
	sleeper Sleeper
	// turn tells apart who had the descriptor one after another.
	turn int32
}

// parkedEvents are what the lot watches a socket for: bytes, or an end.
const parkedEvents = unix.EPOLLIN | unix.EPOLLRDHUP

// Park puts a socket into the lot, which calls w.Wake once, at once or later, when there is
// something to read, or the peer has gone; w must be comparable. The caller must own the
// connection, and must have it Leave before it is used again. ok is false where the socket
// cannot be parked: nothing was done then.
func (l *Lot) Park(s *Socket, w Sleeper) (ok bool) {
	if s.raw == nil || s.behind() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open() {
		return false
	}
	if s.fd >= len(l.slots) {
		l.slots = append(l.slots, make([]slot, s.fd+1-len(l.slots))...)
	}
	at := &l.slots[s.fd]
	at.turn++
	// What is there already makes an event too, so that nothing is missed that came before.
	if unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: parkedEvents, Fd: int32(s.fd), Pad: at.turn}) != nil {
		return false
	}
	at.sleeper = w
	l.parked.Add(1)
	return true
}

// Leave takes the socket that was parked for w out of the lot, if it is still there. Wake may
// be called once more nevertheless, if that was about to happen.
func (l *Lot) Leave(s *Socket, w Sleeper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.fd < len(l.slots) && l.slots[s.fd].sleeper == w {
		l.take(s.fd)
	}
}

// take empties a slot that is in use. The caller holds mu.
func (l *Lot) take(fd int) Sleeper {
	w := l.slots[fd].sleeper
	l.slots[fd].sleeper = nil
	l.parked.Add(-1)
	unix.EpollCtl(l.fd, unix.EPOLL_CTL_DEL, fd, nil)
	return w
}

// open sees to it that there is an epoll instance, and in it a bell, an eventfd. The caller
// holds mu.
func (l *Lot) open() bool {
	if l.file != nil || l.broken {
		return l.file != nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false // Out of descriptors, perhaps: that may pass.
	}
	unix.SetNonblock(fd, true) // or the runtime would not wait for it
	file := os.NewFile(uintptr(fd), "epoll")
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		file.Close()
		return false
	}
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // fails where the runtime cannot wait for it
	}
	if err == nil {
		err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: noSocket})
	}
	if err != nil {
		l.broken = true
		file.Close()
		unix.Close(bell)
		return false
	}
	l.file, l.fd = file, fd
	go func() {
		raw.Read(func(fd uintptr) bool { return l.rouse(int(fd), bell) })
		unix.Close(bell)
	}()
	return true
}

// noSocket stands for the bell in events.
const noSocket = -1

// atOnce is how many sockets with something to read are woken before the runtime looks what has
// come for others; mostEvents bounds those that have ended, which are soon done with.
const (
	atOnce     = 32
	mostEvents = 512
)

// rouse wakes those for whom something has come, and tells false: there may be more later. Its
// goroutine ends when the lot is closed.
//
// It wakes a few at a time. Others are left until the runtime has looked what has come for
// those that are already awake: else a burst of requests would all be taken up, with a stack
// and buffers each, before the first of them is finished.
func (l *Lot) rouse(fd, bell int) bool {
	var events [atOnce]unix.EpollEvent
	for all, busy := 0, 0; all < mostEvents && busy < atOnce; {
		n, err := unix.EpollWait(fd, events[:], 0)
		if err == unix.EINTR {
			continue
		}
		all += n
		for i := range events[:max(n, 0)] {
			if events[i].Events&^unix.EPOLLIN == 0 {
				busy++
			}
			if w := l.called(&events[i]); w != nil {
				w.Wake()
			}
		}
		if n < len(events) {
			return false
		}
	}
	// Nobody tells again of what is left: the bell makes an edge of its own.
	unix.Write(bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return false
}

// called takes out the one whose event it is, nil where that has left meanwhile.
func (l *Lot) called(e *unix.EpollEvent) Sleeper {
	l.mu.Lock()
	defer l.mu.Unlock()
	fd := int(e.Fd)
	if fd < 0 || fd >= len(l.slots) || l.slots[fd].sleeper == nil || l.slots[fd].turn != e.Pad {
		return nil
	}
	return l.take(fd)
}

// Close gives back what an empty lot holds. It may be used again afterwards.
func (l *Lot) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.parked.Load() == 0 {
		l.file.Close()
		l.file, l.slots = nil, nil
	}
}
