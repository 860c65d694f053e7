// Package dns resolves names as a stub resolver does, and tells for how long the answer
// holds, which the standard library's resolver keeps to itself.
//
// It owns what resolv.conf and the hosts file say, the questions and their answers. It must
// not know who asks, nor when to ask again.
package dns
