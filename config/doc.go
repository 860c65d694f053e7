// Package config owns the two words that every front end shares: an [Object], as
// somebody wrote it, and a [Condition], what is wrong with it. The front ends are
// its sub-packages, one for each API; each turns objects into a router.Spec.
//
// It also reads text: [SplitDocuments] and [ParseObjects] make objects of a file,
// [Path] and [Object.Locate] name a field of one and find its line.
//
// It must not know where objects come from (files, an API server) nor about sockets.
package config
