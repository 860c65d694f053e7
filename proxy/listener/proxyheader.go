package listener

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/proxyproto"
)

// readProxyHeader takes the client's address from the header that the connection begins with,
// and returns what was read behind it. It tells false where there is no valid one, or where
// its client has too many connections.
func (c *connection) readProxyHeader() (early []byte, ok bool) {
	s := c.server
	header, rest, err := proxyproto.Read(opening{c.conn, c}, nil, proxyproto.DefaultTimeout)
	if err != nil {
		s.observe(proxy.ConnBadProxyHeader)
		if s.options.Failed != nil {
			s.options.Failed(c.info, err)
		}
		return nil, false
	}
	if header.Known() {
		c.info.Remote, c.info.Local = header.Source, header.Destination
	}
	if !s.countClient(c) {
		s.observe(proxy.ConnRefusedPerIP)
		return nil, false
	}
	return rest, true
}
