package dns

import "net/netip"

// Error says why a name has no addresses.
type Error struct {
	// Name is that which was looked up, Server who was asked last; not valid where nobody was.
	Name   string
	Server netip.AddrPort
	// Cause is in a few words.
	Cause string
	// NotFound tells that a server says so: there is no such name, or it has no addresses.
	// Without it nobody knows.
	NotFound bool
}

// Error returns the name, the cause and the server, in a line.
func (e *Error) Error() string {
	s := "DNS: " + e.Name + ": " + e.Cause
	if e.Server.IsValid() {
		s += " (asked " + e.Server.String() + ")"
	}
	return s
}
