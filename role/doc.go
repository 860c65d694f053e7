// Package role runs a proxy process, whatever its role: it takes configuration from a
// source, publishes each table that comes of it, holds the listeners' sockets, and
// serves the admin and status servers until it is told to end, when it drains.
//
// The gateway and the sidecar are thin layers over it that say which sockets a table's
// listeners get. It must not know where objects come from, how an API is compiled, or
// how a message travels.
package role
