package report

import "github.com/sluicegate/sluice/loadtest/work"

// Record is one figure of one peer in one round.
type Record struct {
	Work   string      `json:"work"`
	Peer   string      `json:"peer"`
	Round  int         `json:"round"`
	Figure work.Figure `json:"figure"`
	// Detail tells figures of one sort apart: "user" and "system" of processor time, "p50",
	// "p99" and "p99.9" of latency, and "lag", how late the generator itself was on
	// average; of requests that were lost, during what; empty for the whole.
	Detail string `json:"detail,omitempty"`
	// Value is in microseconds a request for processor time and latency, requests a second
	// for saturation, bytes for memory, calls a request for system calls, and microseconds
	// for loads and changes; a number of requests where they were lost. A measurement that lost
	// some has no other record: what was lost is in none of its figures, and they would look
	// better for it.
	Value float64 `json:"value"`
	// Requests are those that were answered as they should be.
	Requests int `json:"requests,omitempty"`
}
