// Package pipeline turns changes to the set of objects into published route tables:
// a front end compiles them, the router builds a table, and whoever serves is handed
// it. It keeps what is wrong with the configuration, and tells the log.
//
// It owns the order of these steps and what happens when one of them fails: nothing
// that an object says can end the process or stop later changes. It must not know
// where objects come from, what they mean, or what is done with a table.
package pipeline
