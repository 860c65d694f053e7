// Package socket drives the connections of the codecs with as few system calls as can be:
// plain ones, and those inside TLS.
//
// It owns the poller's callbacks, non-blocking reads and writes, and the buffering of TLS
// records. It must not know what the bytes mean.
package socket
