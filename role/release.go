package role

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// settling is how long after a change memory is looked at: changes come in bursts.
	settling = time.Second
	// releasePause is the least time between two releases, and releaseShare the least share
	// of the time that is not spent on them: each is a collection of garbage.
	releasePause = 5 * time.Second
	releaseShare = 50
	// worthReleasing is what a release must promise, in bytes.
	worthReleasing = 4 << 20
	// firstLoadPercent is the GC percent of the first load. Nothing is served yet, so that
	// nobody waits for the collector; and what stays lies closer together if the garbage in
	// between is used again sooner.
	firstLoadPercent = 20
	// leastHeadroom is how much is allocated between two collections at least, in bytes. Each
	// handshake leaves garbage, and with a small configuration a hundred of them would be
	// enough for a collection.
	leastHeadroom = 16 << 20
	// mostPercent bounds what that makes of the GC percent.
	mostPercent = 400
)

// release gives memory back to the system that changes of the configuration have left as
// garbage. A load leaves several times what it keeps, and a process that then routes without
// allocating would wait for its next collection for hours, and sit on all that meanwhile.
type release struct {
	changed chan struct{}
	loaded  sync.Once
}

// newRelease returns one for a process that is about to load its configuration.
func newRelease() *release {
	beginFirstLoad()
	return &release{changed: make(chan struct{}, 1)}
}

// after takes note of a change that has been applied. It does not wait.
func (r *release) after() {
	r.loaded.Do(endFirstLoad)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// follow releases memory, away from whoever serves, until stop is closed.
func (r *release) follow(stop <-chan struct{}) {
	defer r.loaded.Do(endFirstLoad)
	var next time.Time
	kept := int64(0)
	for {
		select {
		case <-stop:
			return
		case <-r.changed:
		}
		if !sleep(stop, max(settling, time.Until(next))) {
			return
		}
		releaseStart()
		// What was not there after the last release is garbage or new: only a collection tells.
		if objects, free := allocated(); objects+free-kept < worthReleasing {
			continue
		}
		began := time.Now()
		debug.FreeOSMemory()
		kept, _ = allocated()
		pace()
		now := time.Now()
		next = now.Add(max(releasePause, releaseShare*now.Sub(began)))
	}
}

// releaseStart gives the program's own pages back after the first load, once for all that a
// program embeds. Where the system refuses, they stay: nothing depends on it.
var releaseStart = sync.OnceFunc(func() { _ = releaseProgram() })

// sleep waits for a time, and returns false if stop is closed before.
func sleep(stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}

// allocated returns the bytes of the heap's objects, those that are garbage included, and of
// what is free and not yet given back.
func allocated() (objects, free int64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
}

// loading counts the first loads of this process, of which a program may embed several: the GC
// percent is the whole program's.
var loading struct {
	sync.Mutex
	count int
	// percent is the one to go back to, 0 before the first load, and set what was made of it.
	percent, set int
}

func beginFirstLoad() {
	loading.Lock()
	defer loading.Unlock()
	if loading.count++; loading.count == 1 {
		if loading.percent = debug.SetGCPercent(firstLoadPercent); loading.percent < firstLoadPercent {
			// Somebody has asked for less, or for none at all.
			debug.SetGCPercent(loading.percent)
		}
	}
}

func endFirstLoad() {
	loading.Lock()
	defer loading.Unlock()
	if loading.count--; loading.count == 0 {
		loading.set = paced(loading.percent, live())
		debug.SetGCPercent(loading.set)
	}
}

// pace sets the GC percent anew where what lives has changed: what leaves a small heap room
// would let one that traffic has made large grow to several times what is in use.
func pace() {
	loading.Lock()
	defer loading.Unlock()
	if loading.count > 0 || loading.percent == 0 {
		return
	}
	if percent := paced(loading.percent, live()); percent != loading.set {
		loading.set = percent
		debug.SetGCPercent(percent)
	}
}

// paced returns the GC percent for so many bytes that live: the one that was asked for, but
// more where nobody asked and that leaves too little room between collections.
func paced(percent int, live int64) int {
	if percent != defaultPercent {
		return percent
	}
	return int(min(max(defaultPercent, 100*leastHeadroom/max(live, 1)), mostPercent))
}

// defaultPercent is Go's own GC percent.
const defaultPercent = 100

// live returns how many bytes the last collection has found in use.
func live() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
