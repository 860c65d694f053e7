package kube

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/sluicegate/sluice/config"
)

const (
	// eventRate is how many Events a second are written, eventBurst how many at once, and
	// eventQueue how many wait: what is more is in the status only.
	eventRate, eventBurst, eventQueue = 5, 25, 1000
	// maxEvents are those of one object at a time.
	maxEvents = 5
	// lastEventPause is the wait before an Event is tried for the last time.
	lastEventPause = 9 * time.Second
	// reasonMended is the reason of the Event that says that nothing is wrong any more.
	reasonMended = "Mended"
	// maxNote is the length that the API allows.
	maxNote = 1024
)

// event is an Event of events.k8s.io/v1.
type event struct {
	APIVersion          string          `json:"apiVersion"`
	Kind                string          `json:"kind"`
	Metadata            eventMetadata   `json:"metadata"`
	EventTime           string          `json:"eventTime"`
	ReportingController string          `json:"reportingController"`
	ReportingInstance   string          `json:"reportingInstance"`
	Action              string          `json:"action"`
	Reason              string          `json:"reason"`
	Regarding           objectReference `json:"regarding"`
	Note                string          `json:"note"`
	Type                string          `json:"type"`
}

type eventMetadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type objectReference struct {
	APIVersion      string `json:"apiVersion"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// recorder writes Events, one after the other and at a bounded rate. The name of an Event is
// made of what it says and of the object's generation, so that the API server itself refuses
// what it still has: neither a restart nor another leader says a thing twice in an hour.
type recorder struct {
	writer *StatusWriter
	api    *statusAPI
	rate   flowcontrol.RateLimiter
	queue  chan event
	// told are the names of the Events about what stands, by object.
	told map[config.Key]map[string]bool
	// refusedUntil is when it is tried again after a refusal.
	refusedUntil time.Time
}

func newRecorder(w *StatusWriter, api *statusAPI) *recorder {
	return &recorder{
		writer: w, api: api, rate: flowcontrol.NewTokenBucketRateLimiter(eventRate, eventBurst),
		queue: make(chan event, eventQueue), told: map[config.Key]map[string]bool{},
	}
}

// standing returns the Events for what is wrong with an object.
func (r *recorder) standing(s *saying) (list []event) {
	for _, c := range s.conditions {
		if len(list) < maxEvents && (c.Severity == config.Error || c.Severity == config.Warning) {
			list = append(list, r.event(s, "Warning", string(c.Reason), sentence(c)))
		}
	}
	return list
}

// know notes that an object's Events have been written before.
func (r *recorder) know(s *saying) { r.note(s, r.standing(s)) }

// tell writes Events of what is new about an object. wasWrong says that something was wrong with
// it, where that is known from elsewhere.
func (r *recorder) tell(s *saying, wasWrong bool) {
	list, before := r.standing(s), r.told[s.key]
	for _, e := range list {
		if !before[e.Metadata.Name] {
			r.send(e)
		}
	}
	if len(list) == 0 && (wasWrong || len(before) > 0) {
		r.send(r.event(s, "Normal", reasonMended, "nothing is wrong with it any more: it is in force"))
	}
	r.note(s, list)
}

func (r *recorder) note(s *saying, list []event) {
	if len(list) == 0 {
		delete(r.told, s.key)
		return
	}
	names := make(map[string]bool, len(list))
	for _, e := range list {
		names[e.Metadata.Name] = true
	}
	r.told[s.key] = names
}

// send queues an Event, or drops it.
func (r *recorder) send(e event) {
	select {
	case r.queue <- e:
	default:
		r.writer.metrics.events.WithLabelValues("dropped").Inc()
	}
}

func (r *recorder) event(s *saying, kind, reason, note string) event {
	namespace := s.key.Namespace
	if namespace == "" {
		namespace = "default"
	}
	sum := xxhash.Sum64String(fmt.Sprintf("%s\n%d\n%s\n%s", s.identity.UID, s.identity.Generation, reason, note))
	return event{
		APIVersion: "events.k8s.io/v1", Kind: "Event",
		Metadata:            eventMetadata{Name: s.key.Name[:min(len(s.key.Name), 200)] + "." + strconv.FormatUint(sum, 16), Namespace: namespace},
		ReportingController: "sluice.dev/gateway", ReportingInstance: clip(r.writer.opt.Holder, 128),
		Action: "Configure", Reason: reason, Note: clip(note, maxNote), Type: kind,
		Regarding: objectReference{
			APIVersion: s.resource.apiVersion(s.identity.Version), Kind: s.key.Kind, Namespace: s.key.Namespace, Name: s.key.Name,
			UID: string(s.identity.UID), ResourceVersion: s.identity.ResourceVersion,
		},
	}
}

// run writes what is queued until ctx ends.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-r.queue:
			r.writer.metrics.events.WithLabelValues(r.record(ctx, e)).Inc()
		}
	}
}

// record writes one Event, and says what came of it.
func (r *recorder) record(ctx context.Context, e event) string {
	if time.Now().Before(r.refusedUntil) {
		return "refused"
	}
	for pause := time.Second; ; pause *= 3 {
		if r.rate.Wait(ctx) != nil {
			return "dropped"
		}
		e.EventTime = microTime(time.Now())
		err := r.api.create(ctx, "/apis/events.k8s.io/v1/namespaces/"+e.Metadata.Namespace+"/events", e)
		switch {
		case err == nil:
			return "success"
		case apierrors.IsAlreadyExists(err):
			return "repeated"
		case apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, "NamespaceTerminating"):
			r.refusedUntil = time.Now().Add(refusedPause)
			_ = r.api.refused("create", "events.events.k8s.io", err)
			return "refused"
		case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), pause > lastEventPause:
			r.writer.log.Debug("an Event could not be written", "object", e.Regarding.Kind+" "+e.Regarding.Namespace+"/"+e.Regarding.Name, "error", err)
			return "failure"
		}
		sleep(ctx, pause)
	}
}
