//go:build race

package http1

// idleBudget is larger under the race detector: more goroutines are at work at a time, whose stacks
// lie between those that stay. Still no stack would fit.
const idleBudget = 2000
