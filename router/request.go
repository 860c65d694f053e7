package router

// Request is what routing looks at. Its strings may alias a codec's buffer: they
// are read during a call and never kept.
type Request struct {
	// Listener is the name of the listener that took the request.
	Listener string
	// Port is the port that the caller addressed, where the listener has tables
	// for several (sidecar outbound); else 0.
	Port uint16
	// Chain is the name of the connection's Chain, on a listener with chains.
	Chain string
	// Method, Scheme ("http" or "https"), Authority (as sent, port included) and
	// Path (with query; normalised by the codec).
	Method    string
	Scheme    string
	Authority string
	Path      string
	// Headers in the order received, names in lower case, without host, and without those of
	// the connection.
	Headers []Header
	// Upgrade is the protocol that the client asks to switch to ("websocket"), empty for none, and
	// Connection its header of that name where it does. Conditions on these headers see them.
	Upgrade, Connection string
}

// Header returns the first value of a header, given its name in lower case: also of those by which a
// client asks for another protocol.
func (r *Request) Header(name string) (string, bool) {
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			return r.Headers[i].Value, true
		}
	}
	if r.Upgrade != "" && (name == "upgrade" || name == "connection") {
		return upgradeValue(r, name)
	}
	return "", false
}
