package generate

import "time"

// Result is what became of the requests of one round.
type Result struct {
	// Requests are those answered as they should be, Failed all others: no answer, another
	// status, another length.
	Requests, Failed int
	// Elapsed is the time that they took together.
	Elapsed time.Duration
	// Latency is nil where it was not measured.
	Latency *Histogram
	// Problem is the first failure, for people.
	Problem string
}
