// Package config owns the two words that every front end shares: an [Object], as
// somebody wrote it, and a [Condition], what is wrong with it. The front ends are
// its sub-packages, one for each API; each turns objects into a router.Spec.
//
// It must not know where objects come from (files, an API server) nor about sockets.
package config
