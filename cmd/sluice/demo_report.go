package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/role"
)

// demoReportPause is how long the proxies may differ before a change is told of: each
// of them follows the folder by itself.
const demoReportPause = 150 * time.Millisecond

// demoReport tells a person what is live and what is wrong with it, once, whichever
// proxies found it.
type demoReport struct {
	out io.Writer
	// folder is what the proxies follow.
	folder string

	mu      sync.Mutex
	proxies map[string]role.Status
	timer   *time.Timer
	started bool
	// generations and conditions are those told of; conditions without their lines.
	generations map[string]uint64
	conditions  map[config.Condition]bool
}

func newDemoReport(out io.Writer, folder string) *demoReport {
	return &demoReport{out: out, folder: folder, proxies: map[string]role.Status{}, generations: map[string]uint64{}}
}

// take notes a proxy's state, and tells of what changed a moment later.
func (r *demoReport) take(proxy string, s role.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proxies[proxy] = s
	if r.started && r.timer == nil {
		r.timer = time.AfterFunc(demoReportPause, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.timer = nil
			if r.started {
				r.tell()
			}
		})
	}
}

// start takes what is live for known, and begins to tell of changes.
func (r *demoReport) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, s := range r.proxies {
		r.generations[name] = s.Generation
	}
	r.started = true
	r.tell()
}

// stop ends the telling.
func (r *demoReport) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = false
	if r.timer != nil {
		r.timer.Stop()
	}
}

// tell prints what is not told yet.
func (r *demoReport) tell() {
	now := time.Now().Format(time.TimeOnly)
	var changed []string
	found := map[config.Condition]bool{}
	var conditions []config.Condition
	for _, name := range slices.Sorted(maps.Keys(r.proxies)) {
		s := r.proxies[name]
		if s.Generation != r.generations[name] {
			r.generations[name] = s.Generation
			changed = append(changed, name)
		}
		for _, c := range s.Conditions {
			if key := withoutLine(c); !found[key] {
				found[key] = true
				conditions = append(conditions, c)
			}
		}
	}
	if len(changed) > 0 {
		fmt.Fprintf(r.out, "%s  live in %s\n", now, strings.Join(changed, ", "))
	}
	for _, c := range conditions {
		if !r.conditions[withoutLine(c)] {
			fmt.Fprintf(r.out, "%s  %s: %s\n", now, strings.ToLower(string(c.Severity)), r.describe(c))
		}
	}
	for c := range r.conditions {
		if !found[c] {
			fmt.Fprintf(r.out, "%s  cleared: %s\n", now, r.describe(c))
		}
	}
	r.conditions = found
}

func withoutLine(c config.Condition) config.Condition {
	c.Line = 0
	return c
}

// describe returns a condition with paths below the demonstration's folder.
func (r *demoReport) describe(c config.Condition) string {
	base := filepath.Dir(r.folder) + string(filepath.Separator)
	c.File = strings.TrimPrefix(c.File, base)
	text := c.String()
	if c.Object.Kind == "File" { // it stands in front already
		text = strings.Replace(text, c.Object.String()+": ", "", 1)
	}
	return text
}
