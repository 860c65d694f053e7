//go:build race

package http1

// raceEnabled says that the race detector runs: more goroutines are at work at a time, whose stacks
// lie between those that stay.
const raceEnabled = true
