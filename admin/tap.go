package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/telemetry/recent"
)

const (
	// maxTaps bounds the taps that are open at a time.
	maxTaps = 16
	// slowTap is how long whoever reads a tap may take to take what there is.
	slowTap = 10 * time.Second
	// tapBeat is how often a tap without news says that it is there, so that what stands
	// between does not take it for dead.
	tapBeat = 15 * time.Second
)

// tapOptions are what a tap's query says beside the filter.
type tapOptions struct {
	filter recent.Filter
	// count ends the tap after so many, duration after so long; 0 for no end.
	count    uint64
	duration time.Duration
}

func parseTap(q url.Values) (o tapOptions, err error) {
	if name, unknown := recent.UnknownParameter(q, "count", "duration"); unknown {
		return o, fmt.Errorf("%s is no parameter of a tap", name)
	}
	if o.filter, err = recent.ParseFilter(q); err != nil {
		return o, err
	}
	if text := q.Get("count"); text != "" {
		if o.count, err = strconv.ParseUint(text, 10, 64); err != nil || o.count == 0 {
			return o, fmt.Errorf("count %q must be a number from 1 up", text)
		}
	}
	if text := q.Get("duration"); text != "" {
		if o.duration, err = time.ParseDuration(text); err != nil || o.duration <= 0 {
			return o, fmt.Errorf("duration %q: write it like 30s or 5m", text)
		}
	}
	return o, nil
}

// Dropped is a line of a tap that tells what was lost because nobody took it in time.
type Dropped struct {
	Dropped uint64 `json:"dropped"`
}

// tap streams summaries of the requests that end: a line of JSON each or, where the client
// accepts text/event-stream, an event each.
func tap(r *recent.Recorder) http.HandlerFunc {
	var open atomic.Int64
	return func(w http.ResponseWriter, req *http.Request) {
		o, err := parseTap(req.URL.Query())
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		s := stream{out: http.NewResponseController(w), w: w, events: strings.Contains(req.Header.Get("Accept"), "text/event-stream")}
		if req.Method == http.MethodHead {
			// Whoever asks so takes the head for all of it, and never ends the rest.
			s.begin()
			return
		}
		defer open.Add(-1)
		if open.Add(1) > maxTaps {
			writeProblem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d taps are open already; close one", maxTaps))
			return
		}
		s.begin()
		t := r.Subscribe(o.filter)
		defer t.Close()
		s.run(req, t, o)
	}
}

// stream is the writing side of a tap.
type stream struct {
	out    *http.ResponseController
	w      http.ResponseWriter
	events bool
	// told is how many drops were told of.
	told uint64
}

func (s *stream) begin() {
	// The server's time limit for requests would end the stream.
	_ = s.out.SetReadDeadline(time.Time{})
	kind := "application/x-ndjson"
	if s.events {
		kind = "text/event-stream"
	}
	s.w.Header().Set("Content-Type", kind)
	s.w.Header().Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

// run writes until the client, the Recorder or the tap's own end ends it.
func (s *stream) run(req *http.Request, t *recent.Tap, o tapOptions) {
	var end <-chan time.Time
	if o.duration > 0 {
		timer := time.NewTimer(o.duration)
		defer timer.Stop()
		end = timer.C
	}
	beat := time.NewTicker(tapBeat)
	defer beat.Stop()
	if s.flush() != nil {
		return
	}
	for n := uint64(0); o.count == 0 || n < o.count; {
		select {
		case <-req.Context().Done():
			return
		case <-t.Over:
			return
		case <-end:
			return
		case <-beat.C:
			if s.events {
				fmt.Fprint(s.w, ": still here\n\n")
			}
		case summary := <-t.C:
			n++
			s.tell("request", summary)
			if d := t.Dropped(); d != s.told {
				s.tell("dropped", Dropped{d - s.told})
				s.told = d
			}
			if len(t.C) > 0 && (o.count == 0 || n < o.count) {
				continue // they go together
			}
		}
		if s.flush() != nil {
			return
		}
	}
}

func (s *stream) tell(event string, what any) {
	text, err := json.Marshal(what)
	if err != nil || s.patience() != nil {
		return
	}
	if s.events {
		fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, text)
		return
	}
	_, _ = s.w.Write(append(text, '\n'))
}

// flush sends what there is. An error means that the client has gone, or is too slow.
func (s *stream) flush() error {
	if err := s.patience(); err != nil {
		return err
	}
	return s.out.Flush()
}

// patience begins the time that the client may take. Much that comes at once is written before
// the flush, and the last one's time may be over.
func (s *stream) patience() error { return s.out.SetWriteDeadline(time.Now().Add(slowTap)) }
