package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/router"
)

// BodyKind says how a message's body is delimited.
type BodyKind uint8

const (
	// BodyNone: there is no body.
	BodyNone BodyKind = iota
	// BodyLength: it has Length bytes.
	BodyLength
	// BodyStream: it ends when its codec says so (chunked, or with the stream).
	BodyStream
)

// Body is the shape of a message's body.
type Body struct {
	Kind   BodyKind
	Length int64
}

// Response is the head of a response, on its way from an upstream, or made by the proxy
// itself. Its strings may alias a buffer: they are valid during the call that passes it.
type Response struct {
	Status int
	// Reason is the reason phrase of HTTP/1; empty means the usual one.
	Reason string
	// Headers are those to send; the codec adds what frames the message.
	Headers []router.Header
	Body    Body
	// DeclaredLength is the Content-Length that a response without a body announces
	// (to HEAD, or 304); -1 for none.
	DeclaredLength int64
	// Upgrade is the protocol that a 101 switches to.
	Upgrade string
}

// Downstream is the client's side of one exchange, as its codec offers it. Its methods are
// called from the goroutine of the exchange; ReadBody and Trailers may be called from one
// other goroutine at the same time. Every error means that the client is lost.
type Downstream interface {
	// ReadBody reads more of a request body that was not Buffered. io.EOF ends it; any
	// other error is the client's fault, or its going away.
	ReadBody(p []byte) (int, error)
	// CloseBody makes ReadBody fail, now and later: nobody wants the rest of the body.
	// The connection ends after this exchange.
	CloseBody()
	// KeepBody lets what ReadBody returns be read again after Rewind, as long as it is not
	// more than a bounded buffer holds.
	KeepBody()
	// Rewindable tells whether Rewind would do it.
	Rewindable() bool
	// Rewind begins the body anew for another try, and undoes CloseBody. It tells false
	// where that cannot be: too much was read, or it was not kept.
	Rewind() bool
	// Trailers returns the request's trailers once ReadBody has returned io.EOF.
	Trailers() []router.Header
	// Interim sends a 1xx response.
	Interim(r *Response) error
	// Respond sends the response's head and the first bytes of its body; end says that
	// these are all.
	Respond(ex *Exchange, r *Response, body []byte, end bool) error
	// WriteBody sends more of the body; with end, what ends it.
	WriteBody(p []byte, trailers []router.Header, end bool) error
	// Splice copies n bytes of the body from an upstream socket, by the kernel alone
	// where it can. ok is false where this codec must see the bytes; then nothing was
	// done.
	Splice(from net.Conn, n int64) (written int64, ok bool, err error)
	// Cut ends a response that cannot be completed, in a way that the client notices.
	Cut()
	// Tunnel hands over the connection after a 101 was sent by Respond: what the client
	// has sent already, and the connection. It is then the caller's to close.
	Tunnel() (early []byte, conn net.Conn)
	// Attach says which upstream to abort when the client goes away or runs out of
	// time; nil takes it back. It tells false where the client has gone already.
	Attach(a *Aborter) bool
	// Lost tells that the client has gone, or was given up on, since the exchange
	// began; timeout says that it was for standing still too long.
	Lost() (lost, timeout bool)
}

// TunnelEnder is a Downstream that wants to know how its tunnel went: how many bytes came from
// the client and went to it, and whether it ended because nothing moved. Upstream.Tunnel tells
// it before it returns.
type TunnelEnder interface {
	TunnelEnded(received, sent int64, timedOut bool)
}

// Handler serves exchanges.
type Handler interface {
	// Serve answers ex through down before it returns.
	Serve(ex *Exchange, down Downstream)
	// Reject answers a request that the codec refused. ex holds what was understood of it.
	Reject(ex *Exchange, down Downstream, r Rejection)
}

// Rejection is a codec's verdict on a request that is not served.
type Rejection struct {
	Status int
	// Detail is the access log's %RESPONSE_CODE_DETAILS%.
	Detail string
	// Location, where set, redirects the client.
	Location string
}

// ResponseFilter sees an upstream's response before the client does.
type ResponseFilter interface {
	// FilterResponse may change r. relay false says that the client must not have it:
	// the codec drops the response and its connection.
	FilterResponse(ex *Exchange, r *Response) (relay bool)
}

// Failure says why an attempt to get a response from an upstream came to nothing.
type Failure uint8

const (
	// FailNone: the response was relayed whole.
	FailNone Failure = iota
	// FailConnect: there was no connection.
	FailConnect
	// FailSend: the request could not be written.
	FailSend
	// FailClosed: the upstream closed the connection.
	FailClosed
	// FailReset: the upstream reset the connection.
	FailReset
	// FailProtocol: the upstream's message is not valid.
	FailProtocol
	// FailTimeout: the time for it ran out.
	FailTimeout
	// FailDownstream: the client is lost, or its body is bad (Result.BodyError).
	FailDownstream
	// FailOverflow: a circuit breaker is open.
	FailOverflow
	// FailRefused: the filter did not want the response.
	FailRefused
	// FailStreamReset: the upstream reset the stream, and no other of its connection.
	FailStreamReset
	// FailRefusedStream: the upstream has done nothing with the request, and says so
	// (RFC 9113 section 8.7).
	FailRefusedStream
)

// Result is what became of one attempt.
type Result struct {
	Failure Failure
	// Err is the failure's cause, for people.
	Err error
	// BodyError is the fault in the client's body that ended the attempt.
	BodyError error
	// Received tells that some byte of a response had come; Responded that the client was
	// sent its head.
	Received, Responded bool
	// Reusable tells that the connection can take another request.
	Reusable bool
	// Upgraded tells that the connection is now a tunnel.
	Upgraded bool
}

// Aborter lets another goroutine end what an exchange waits for.
type Aborter struct {
	conn    net.Conn
	cancel  func()
	wake    chan struct{}
	once    sync.Once
	aborted atomic.Bool
}

// NewAborter returns an Aborter for an upstream connection.
func NewAborter(conn net.Conn) *Aborter { return &Aborter{conn: conn} }

// NewCanceler returns an Aborter that calls cancel, which must not wait, and must not mind
// being called twice.
func NewCanceler(cancel func()) *Aborter { return &Aborter{cancel: cancel} }

// NewWaiter returns an Aborter for a wait for Woken.
func NewWaiter() *Aborter { return &Aborter{wake: make(chan struct{})} }

// Abort makes the upstream's reads and writes fail, now and later, or ends the wait.
func (a *Aborter) Abort() {
	a.aborted.Store(true)
	if a.conn != nil {
		a.conn.SetDeadline(time.Unix(1, 0))
	}
	if a.cancel != nil {
		a.cancel()
	}
	if a.wake != nil {
		a.once.Do(func() { close(a.wake) })
	}
}

// Aborted tells whether Abort was called.
func (a *Aborter) Aborted() bool { return a.aborted.Load() }

// Woken is closed when a waiter is aborted.
func (a *Aborter) Woken() <-chan struct{} { return a.wake }

// Wait waits for d, and returns false at once when the client of down goes away.
func Wait(down Downstream, d time.Duration) bool {
	a := NewWaiter()
	defer down.Attach(nil)
	if !down.Attach(a) {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.Woken():
		return false
	}
}
