package pipeline

import (
	"time"

	"github.com/sluicegate/sluice/config"
)

// Status are figures about the reloads so far. The zero value is that of a Pipeline
// that has been given nothing.
type Status struct {
	// Generation is that of the table in force; 0 before the first.
	Generation uint64 `json:"generation"`
	// Objects is how many objects are in force.
	Objects int `json:"objects"`
	// Errors, Warnings and Infos count the conditions that stand.
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Infos    int `json:"infos"`
	// Reloads counts the changes taken, Failures those that could not be brought
	// into force as a whole because the compiler or the router failed on them. An
	// object with a condition is not a failure.
	Reloads  uint64 `json:"reloads"`
	Failures uint64 `json:"failures"`
	// LastDuration is how long the last reload took.
	LastDuration time.Duration `json:"lastDuration"`
	// LastSuccess is when a change was last brought into force; zero if never.
	LastSuccess time.Time `json:"lastSuccess"`
}

// next is the status after another reload.
func (s Status) next(conditions []config.Condition, objects int, took time.Duration) Status {
	s.Reloads++
	s.Objects, s.LastDuration = objects, took
	s.Errors, s.Warnings, s.Infos = 0, 0, 0
	for _, c := range conditions {
		switch c.Severity {
		case config.Error:
			s.Errors++
		case config.Warning:
			s.Warnings++
		default:
			s.Infos++
		}
	}
	return s
}
