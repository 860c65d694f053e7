package listener

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

const (
	// worthReleasing is how many connections more must be parked for the memory that they
	// had in use to be given back to the system.
	worthReleasing = 1000
	// A release is a collection of garbage. The next is releaseShare times later than it
	// took, but at least leastPause and at most mostPause.
	releaseShare = 20
	leastPause   = time.Second
	mostPause    = 10 * time.Second
)

// release gives back memory that connections have used before they were parked: requests on
// other connections make no garbage, so that the next collection could be long in coming. The
// watch owns it.
type release struct {
	// parked were in the lot at the last look, or the least since.
	parked int
	// again: what is kept for use again survives one collection, but not another.
	again bool
}

// follow is told how many connections are parked.
func (r *release) follow(parked int, now int64) {
	r.parked = min(r.parked, parked)
	more := parked-r.parked >= worthReleasing
	if !more && !r.again || !releasing.begin(now) {
		return
	}
	r.parked, r.again = parked, more
	go releasing.run()
}

// releases are the process's, whose memory it is.
type releases struct {
	sync.Mutex
	busy bool
	next int64
}

var releasing releases

// begin tells whether it is time for a release. Then run must follow.
func (r *releases) begin(now int64) bool {
	r.Lock()
	defer r.Unlock()
	if r.busy || now < r.next {
		return false
	}
	r.busy = true
	return true
}

func (r *releases) run() {
	began := proxy.Now()
	debug.FreeOSMemory()
	now := proxy.Now()
	pause := min(max(leastPause, time.Duration(releaseShare*(now-began))), mostPause)
	r.Lock()
	defer r.Unlock()
	r.busy, r.next = false, now+int64(pause)
}
