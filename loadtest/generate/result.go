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
	// Lag is how late the generator itself was, on average, with requests at a fixed rate whose
	// connection was free: where it is not small beside the times, its processor was too busy.
	Lag time.Duration
	// Problem is the first failure, for people.
	Problem string
}
