package role

import "github.com/sluicegate/sluice/router"

// socket is what a Bind asks for, without what only its clients are told: a change of that is
// no reason to close a socket, and to end the connections of everybody else who uses it.
func (b Bind) socket() Bind {
	b.AltSvc = 0
	return b
}

// tell has the sockets' clients told of HTTP/3 where that is served by now, and of it no more
// where it is not: they would try another program's port.
func (s *listeners) tell() {
	served := make(map[Bind]bool)
	for _, l := range s.held {
		if l.Datagrams {
			served[Bind{Listener: l.Listener, Address: l.Address}] = l.server != nil
		}
	}
	for _, l := range s.held {
		if !l.Datagrams {
			l.say(s, served[Bind{Listener: l.Listener, Address: l.Address}])
		}
	}
}

// say settles what every response inside TLS says from now on.
func (l *binding) say(s *listeners, http3 bool) {
	b := l.Bind
	if !http3 {
		b.AltSvc = 0
	}
	if before := l.said.Load(); before == nil || before.altSvc != b.AltSvc {
		l.said.Store(&said{b.AltSvc, s.headers(b)})
	}
}

// said is what responses inside TLS say at a socket.
type said struct {
	altSvc  uint16
	headers []router.Header
}
