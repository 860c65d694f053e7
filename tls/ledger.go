package tls

import (
	"cmp"
	"log/slog"
	"slices"
	"time"
)

// topic is one thing that can be wrong with a source.
type topic struct{ source, about string }

// ledger keeps what is wrong. The Store's mutex guards it.
type ledger struct {
	logger   *slog.Logger
	problems map[topic]Problem
}

// note takes what is wrong now; nil for nothing. Changes are logged.
func (l *ledger) note(source, about string, err error, now time.Time) {
	key := topic{source, about}
	was, there := l.problems[key]
	switch {
	case err == nil && there:
		delete(l.problems, key)
		l.logger.Info("certificate source is well again", "source", source)
	case err != nil && !there:
		l.problems[key] = Problem{Credential: source, Err: err.Error(), Since: now}
		l.logger.Error("certificate source is broken", "source", source, "reason", err)
	case err != nil && was.Err != err.Error():
		was.Err = err.Error()
		l.problems[key] = was
		l.logger.Error("certificate source is broken", "source", source, "reason", err)
	}
}

// keep forgets what is wrong with sources that are named no more.
func (l *ledger) keep(named map[string]bool) {
	for key := range l.problems {
		if !named[key.source] {
			delete(l.problems, key)
		}
	}
}

// list returns the problems, by source.
func (l *ledger) list() []Problem {
	list := make([]Problem, 0, len(l.problems))
	for _, p := range l.problems {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Credential, b.Credential), cmp.Compare(a.Err, b.Err))
	})
	return list
}
