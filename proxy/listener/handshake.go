package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
)

var (
	errNoChain     = errors.New("no server takes this TLS server name")
	errPassThrough = errors.New("TLS is passed through")
)

// challengeProtocol is what a certificate authority offers by ALPN to look for the answer to
// its challenge (RFC 8737 section 6.1).
const challengeProtocol = "acme-tls/1"

// handshake is a connection whose first message is being read. It is the context.Context of
// its handshake, by which configure finds it.
type handshake struct {
	*connection
	tls   *socket.TLS
	chain *router.CompiledChain
}

type handshakeKey struct{}

func (h *handshake) Deadline() (time.Time, bool) { return time.Time{}, false }
func (h *handshake) Done() <-chan struct{}       { return nil }
func (h *handshake) Err() error                  { return nil }

func (h *handshake) Value(key any) any {
	if key == (handshakeKey{}) {
		return h
	}
	return nil
}

// enter finds the connection's chain, and does what that asks for.
func (c *connection) enter(early []byte) proxy.Session {
	o := &c.server.options
	if chain := o.Chain("", false, nil); chain != nil {
		return c.begin(chain, c.conn, early)
	}
	c.bound(time.Now().Add(o.OpenTimeout))
	h := &handshake{connection: c}
	h.tls = socket.Server(c.conn, early, c.server.hello)
	err := h.tls.HandshakeContext(h)
	switch {
	case err == nil:
		return h.established()
	case h.chain != nil && h.chain.TLS == nil:
		c.bound(time.Time{})
		return c.begin(h.chain, c.conn, h.tls.Seen())
	}
	h.failed(err)
	return nil
}

// configure finds the chain of a connection by the client's first message, and the
// configuration that its handshake goes on with.
func (s *Server) configure(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	h := hello.Context().Value(handshakeKey{}).(*handshake)
	chain := s.options.Chain(hello.ServerName, true, hello.SupportedProtos)
	if chain == nil {
		h.tls.Mute()
		return nil, fmt.Errorf("%w: %q", errNoChain, hello.ServerName)
	}
	h.chain = chain
	if chain.TLS == nil {
		h.tls.Mute()
		h.info.TLS = &proxy.TLSState{ServerName: hello.ServerName}
		return nil, errPassThrough
	}
	h.tls.Decide()
	return s.options.ServerTLS(chain.TLS, hello)
}

// established returns the session of a connection whose TLS ends here.
func (h *handshake) established() proxy.Session {
	o := &h.server.options
	state := h.tls.ConnectionState()
	h.info.TLS = o.TLSState(h.chain.TLS, state)
	h.server.observe(proxy.ConnHandshake)
	if state.DidResume {
		h.server.observe(proxy.ConnResumed)
	}
	if state.NegotiatedProtocol == challengeProtocol {
		h.tls.Close()
		return nil // The handshake was all that the certificate authority wanted.
	}
	h.bound(time.Time{})
	return h.begin(h.chain, h.tls, nil)
}

// begin returns the session of a connection whose chain is known.
func (c *connection) begin(chain *router.CompiledChain, conn net.Conn, early []byte) proxy.Session {
	c.info.Chain = chain.Name
	if chain.Table != nil {
		return c.server.options.HTTP(conn, early, c.info)
	}
	return c.server.options.Bytes(conn, early, c.info)
}

// failed ends a connection whose handshake came to nothing, and tells of it.
func (h *handshake) failed(err error) {
	s := h.server
	var notTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, errNoChain):
		s.observe(proxy.ConnNoChain)
		h.reset()
	case errors.As(err, &notTLS):
		s.observe(proxy.ConnNotTLS)
		h.answerPlain(notTLS.RecordHeader[:])
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.observe(proxy.ConnHandshakeTimeout)
	default:
		s.observe(proxy.ConnHandshakeFailed)
		h.linger()
	}
	if s.options.Failed != nil {
		s.options.Failed(h.info, err)
	}
}

const (
	// lingerBytes and lingerTime bound what is read, and thrown away, from a client whose
	// handshake failed: a close before would reset the connection and could cost it the
	// alert that says why.
	lingerBytes = 64 << 10
	lingerTime  = time.Second
)

// linger closes the connection's sending side, and waits a moment for the client's.
func (h *handshake) linger() {
	half, ok := h.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	opening{h.conn, h.connection}.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, h.conn, lingerBytes)
}

// answerPlain tells a client that speaks plaintext HTTP that this is the wrong port for it.
func (h *handshake) answerPlain(start []byte) {
	for _, method := range []string{"GET ", "HEAD ", "POST ", "PUT ", "OPTIO", "DELET", "PATCH", "CONNE", "PRI *"} {
		if bytes.HasPrefix(start, []byte(method)) {
			const body = "400: this port speaks HTTPS, the request came in plaintext\n"
			fmt.Fprintf(h.conn, "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s", len(body), body)
			return
		}
	}
	h.reset()
}
