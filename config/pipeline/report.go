package pipeline

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicegate/sluice/config"
)

// maxTold is how many conditions that come, and how many that go, are told of after
// one reload. The others are where Conditions are shown.
const maxTold = 100

// report tells the log of a reload: one line, and one for each condition that is new
// or gone. What only moved within its file is not worth a line.
func (p *Pipeline) report(old, next *state, d config.Delta) {
	came, went := difference(old.conditions, next.conditions), difference(next.conditions, old.conditions)
	if len(d.Set)+len(d.Removed)+len(came)+len(went) == 0 && next.status.Reloads > 1 {
		return
	}
	s := next.status
	p.log.Info("configuration loaded",
		"generation", s.Generation, "objects", s.Objects,
		"changed", len(d.Set), "removed", len(d.Removed),
		"errors", s.Errors, "warnings", s.Warnings,
		"duration", s.LastDuration.Round(time.Microsecond))
	for i, c := range came {
		if i == maxTold {
			p.log.Warn("more conditions than are told of here", "conditions", len(came)-i)
			break
		}
		p.log.Log(context.Background(), level(c.Severity), c.String(), "reason", c.Reason)
	}
	for i, c := range went {
		if i == maxTold {
			p.log.Info("more conditions cleared than are told of here", "conditions", len(went)-i)
			break
		}
		p.log.Info("cleared: "+c.String(), "reason", c.Reason)
	}
}

func level(s config.Severity) slog.Level {
	switch s {
	case config.Error:
		return slog.LevelError
	case config.Warning:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// difference returns the conditions of b that a does not have. The line does not
// count: a condition that moved is still the same.
func difference(a, b []config.Condition) (only []config.Condition) {
	had := make(map[config.Condition]bool, len(a))
	for _, c := range a {
		c.Line = 0
		had[c] = true
	}
	for _, c := range b {
		same := c
		same.Line = 0
		if !had[same] {
			only = append(only, c)
		}
	}
	return only
}
