// Package recent owns what a proxy remembers of its latest traffic: failures, each with the
// decision that led to it; counts and times of each route; and taps, which are live streams of
// what ends. All of it is bounded, and what nobody looks at costs next to nothing.
//
// It is fed from the request path, where it allocates nothing in the steady state and never
// waits. It must not know who shows what it remembers, nor what can be done about a failure.
package recent
