// Package tcp is the codec of connections whose bytes are routed, and not understood: those
// of TCP servers, and of TLS that is passed through or ended here.
//
// It owns how bytes move between two connections, and how that ends. Plain sockets are
// spliced: the kernel moves the bytes by itself. It must not know where the route table
// comes from, nor what the bytes mean. Since it does not, it connects to the endpoint at
// once, so that either side may speak first, and a drain lets a session go on until its
// time is over: nothing tells when it would lose nothing.
package tcp
