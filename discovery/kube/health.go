package kube

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sluicegate/sluice/config"
)

const (
	// ReasonAPIServerAway: the API server does not answer. What was last known stays in force.
	ReasonAPIServerAway config.Reason = "APIServerAway"
	// ReasonForbidden: this proxy may not read a kind.
	ReasonForbidden config.Reason = "Forbidden"
	// ReasonKindMissing: the API server does not have a kind.
	ReasonKindMissing config.Reason = "KindMissing"
	// ReasonSnapshot: what is served was read from a file, because the API server did not
	// answer.
	ReasonSnapshot config.Reason = "Snapshot"
)

// health is how the ways to the API server do. The cluster's lock guards it.
type health struct {
	// awaySince is when the API server ceased to answer, and awayError how; zero where it does.
	awaySince time.Time
	awayError error
	// snapshotTaken is when the snapshot was taken that is served; zero for none.
	snapshotTaken time.Time
	// snapshotTried: it was looked for.
	snapshotTried bool
	// news is told that there is something to write to a snapshot.
	news chan struct{}
}

// Status is how following the cluster goes.
type Status struct {
	// Synced: every kind that this proxy may read has been listed, and is followed.
	Synced bool
	// AwaySince is when the API server ceased to answer; zero where it does.
	AwaySince time.Time
	// SnapshotTaken is when the snapshot was taken that is served; zero for none.
	SnapshotTaken time.Time
	// Missing are the kinds that the API server does not have, Forbidden those that this proxy
	// may not read, as kubectl writes them.
	Missing, Forbidden []string
}

// Status returns how following the cluster goes.
func (c *Cluster) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Synced: len(c.sources) > 0, AwaySince: c.health.awaySince, SnapshotTaken: c.health.snapshotTaken}
	for _, source := range c.sources {
		switch source.state {
		case missing:
			s.Missing = append(s.Missing, source.resource.String())
		case forbidden:
			s.Forbidden = append(s.Forbidden, source.resource.String())
		case waiting, away:
			s.Synced = false
		}
	}
	for _, list := range []*[]string{&s.Missing, &s.Forbidden} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return s
}

// report notes how a source does.
func (c *Cluster) report(s *source, now state, err error) {
	c.mu.Lock()
	if now != away || s.state != waiting {
		s.state = now
	}
	s.err = err
	if now != away {
		select {
		case <-s.heard:
		default:
			close(s.heard)
		}
	}
	s.known = s.known || now == listed || now == missing
	c.judge()
	c.mu.Unlock()
	c.tell()
}

// waits says whether a source has not been listed yet.
func (c *Cluster) waits(s *source) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.state == waiting
}

// answered notes that the API server takes up again where it left off.
func (c *Cluster) answered(s *source) {
	c.mu.Lock()
	was := s.state
	if was == away {
		s.state, s.err = listed, nil
		c.judge()
	}
	c.mu.Unlock()
	if was == away {
		c.tell()
	}
}

func (c *Cluster) tell() {
	select {
	case c.reported <- struct{}{}:
	default:
	}
}

// judge draws conclusions from the states of the sources.
func (c *Cluster) judge() {
	var trouble error
	unlisted := false
	for _, s := range c.sources {
		if s.err != nil && (s.state == away || s.state == waiting) {
			trouble = s.err
		}
		unlisted = unlisted || s.state == waiting || s.state == away || s.state == forbidden && s.needed() && !s.known
	}
	h := &c.health
	switch {
	case trouble == nil:
		h.awaySince, h.awayError = time.Time{}, nil
	case h.awayError == nil:
		h.awaySince, h.awayError = time.Now(), trouble
	}
	if !unlisted {
		h.snapshotTaken = time.Time{}
	}
}

// deprived returns the sources that may not read their kind, and have not before.
func (c *Cluster) deprived() (list []*source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sources {
		if s.state == forbidden && s.needed() && !s.known {
			list = append(list, s)
		}
	}
	return list
}

// silent returns why a kind could not be listed yet; nil where nothing speaks against it.
func (c *Cluster) silent() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health.awayError
}

// delay says why not everything has been listed yet.
func (c *Cluster) delay() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.health.awayError; err != nil {
		return explain(err)
	}
	return cmp.Or(c.forbidden(), "it takes its time")
}

// conditions are what is wrong with the cluster, in a fixed order.
func (c *Cluster) conditions() (all []config.Condition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(severity config.Severity, reason config.Reason, message string) {
		all = append(all, config.Condition{Severity: severity, Reason: reason, Object: config.Key{Kind: "Cluster", Name: c.rest.Host}, Message: message})
	}
	h := &c.health
	if !h.snapshotTaken.IsZero() {
		add(config.Warning, ReasonSnapshot, fmt.Sprintf("what is served is what %s holds, written at %s: it is replaced when the API server answers", c.opt.Snapshot, h.snapshotTaken.UTC().Format(time.RFC3339)))
	}
	if h.awayError != nil {
		add(config.Warning, ReasonAPIServerAway, fmt.Sprintf("the API server does not answer since %s, what was last known stays in force: %s", h.awaySince.UTC().Format(time.RFC3339), explain(h.awayError)))
	}
	if message := c.forbidden(); message != "" {
		add(config.Error, ReasonForbidden, message)
	}
	for _, message := range c.dispensable() {
		add(config.Info, ReasonForbidden, message)
	}
	if message := c.missing(); message != "" {
		add(config.Warning, ReasonKindMissing, message)
	}
	return all
}

// missing says which kinds the API server does not have.
func (c *Cluster) missing() string {
	var names []string
	for _, s := range c.sources {
		if s.state == missing {
			names = append(names, s.resource.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf("the cluster does not have %s, so that there are none; they are read once they are installed: sluice manifest crds | kubectl apply --server-side -f -",
		strings.Join(slices.Compact(names), ", "))
}

// explain says in plain words why the API server does not answer.
func explain(err error) string {
	switch {
	case apierrors.IsUnauthorized(err):
		return "it does not know who this is (401 Unauthorized): renew the token or the client certificate of the kubeconfig"
	case apierrors.IsTooManyRequests(err):
		return "it has too much to do (429)"
	case apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
		return "it is in trouble: " + err.Error()
	}
	return err.Error()
}

// configurationError says that there is no use in trying again.
func configurationError(err error) error {
	if errors.Is(err, ErrConfiguration) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrConfiguration, err)
}
