// Package forward is the engine between the codecs: for each exchange it asks the table
// for a decision, answers itself what needs no upstream, and otherwise picks an endpoint,
// prepares the headers, and has the request sent and the response relayed.
//
// It owns what happens to a request, once for every protocol. It must not know how
// messages look on a connection, nor where the table came from.
package forward
