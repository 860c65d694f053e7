// Package why owns the answer to "why did that fail?": it takes what is remembered of a failed
// request, the configuration in force and its conditions, and says what the cause is and what
// to change, in which object, field, file and line.
//
// It is pure: no clock, no I/O. It must not know the data path's insides, nor who asks.
package why
