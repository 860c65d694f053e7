package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/sluicegate/sluice/admin/why"
	"github.com/sluicegate/sluice/telemetry/recent"
)

// Failures is what /failures answers.
type Failures struct {
	// Failed counts all since the process began, Skipped those that were not remembered, as
	// too many came at once.
	Failed  uint64 `json:"failed"`
	Skipped uint64 `json:"skipped"`
	// Requests are those that are remembered, the latest first.
	Requests []recent.Summary `json:"requests"`
}

// Why is what /why answers.
type Why struct {
	why.Answer
	Conditions []Condition `json:"conditions,omitempty"`
}

// listFailures shows what failed of late; ?last= as /why has it picks some.
func listFailures(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wanted, err := parseLast(r.URL.Query())
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		all, skipped := o.Recent.Failed()
		list := Failures{Failed: all, Skipped: skipped, Requests: []recent.Summary{}}
		for _, f := range o.Recent.Failures() {
			if wanted(&f.Summary) {
				list.Requests = append(list.Requests, f.Summary)
			}
		}
		writeJSON(w, list)
	}
}

// whyLast explains the last failure, or the last of a kind.
func whyLast(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wanted, err := parseLast(r.URL.Query())
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		answerWhy(w, o, wanted, "no request of that kind has failed of late: /failures lists those that have")
	}
}

// whyID explains the failure with a request id.
func whyID(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := url.PathUnescape(mux.Vars(r)["id"])
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		all, skipped := o.Recent.Failed()
		answerWhy(w, o, func(s *recent.Summary) bool { return s.ID == id }, fmt.Sprintf(
			"no failed request with the id %s is remembered: it went well, was another proxy's, or is forgotten (%d have failed since the start, of which %d came too fast to be kept)", id, all, skipped))
	}
}

const (
	// whyGrace is how long a failure is waited for that is not remembered yet: a client may have
	// its answer, and ask, before the request is over here. whyPause is between two looks.
	whyGrace = 200 * time.Millisecond
	whyPause = 10 * time.Millisecond
)

func answerWhy(w http.ResponseWriter, o Options, wanted func(*recent.Summary) bool, missing string) {
	f := lookFor(o.Recent, wanted)
	for end := time.Now().Add(whyGrace); f == nil && time.Now().Before(end); f = lookFor(o.Recent, wanted) {
		time.Sleep(whyPause)
	}
	if f == nil {
		writeProblem(w, http.StatusNotFound, missing)
		return
	}
	c := o.Config()
	a := why.Of(f, why.Evidence{Spec: c.Spec, Conditions: c.Conditions, Locate: o.Locate})
	writeJSON(w, Why{Answer: a, Conditions: Conditions(a.Conditions)})
}

// lookFor returns the latest failure that is wanted, or nil.
func lookFor(r *recent.Recorder, wanted func(*recent.Summary) bool) *recent.Failure {
	list := r.Failures()
	i := slices.IndexFunc(list, func(f recent.Failure) bool { return wanted(&f.Summary) })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// parseLast reads ?last=: a status, a class, a range or a response flag; nothing takes all.
func parseLast(q url.Values) (func(*recent.Summary) bool, error) {
	text := strings.TrimSpace(q.Get("last"))
	if text == "" || text == "any" {
		return func(*recent.Summary) bool { return true }, nil
	}
	if why.IsFlag(text) {
		flag := strings.ToUpper(text)
		return func(s *recent.Summary) bool {
			for has := range strings.SplitSeq(s.Flags, ",") {
				if has == flag {
					return true
				}
			}
			return false
		}, nil
	}
	r, err := recent.ParseStatus(text)
	if err != nil {
		return nil, fmt.Errorf("last %q: write a status (404), a class (5xx), a range (500-504) or a response flag (UH)", text)
	}
	return func(s *recent.Summary) bool { return r.From <= s.Status && s.Status <= r.To }, nil
}
