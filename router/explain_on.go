package router

// RequestMisdirected is the outcome of a request for a host that is never served on the
// connection: it is answered 421.
const RequestMisdirected = "Misdirected"

// ExplainOn explains a request on a connection: which chain takes the connection, whose
// routes serve the request, and which of them. The request's Listener and Chain are those of
// the connection.
func (t *Table) ExplainOn(c *Connection, r *Request) *Explanation {
	why := t.ExplainConnection(c)
	refused := &Explanation{Outcome: why.Outcome, Listener: why.Listener, Host: NormalizeHost(r.Authority), Connection: why}
	if why.Outcome != ConnectionNoListener && why.Outcome != ConnectionRequests {
		return refused
	}
	routed := *r
	routed.Listener, routed.Chain = c.Listener, ""
	var misdirected string
	if why.Chain != nil {
		routed.Chain = why.Chain.Name
		if other := t.coalesced(c, why, r); other != nil {
			routed.Chain, misdirected = other.Name, other.misdirects(refused.Host)
			if other.TLS == nil || other.table == nil {
				refused.Outcome, refused.Chain, refused.Misdirected = RequestMisdirected, other.Name, misdirected
				return refused
			}
		}
	}
	e := t.Explain(&routed)
	e.Connection, e.Misdirected = why, misdirected
	return e
}

// coalesced returns the chain that a request's host leads to, where that is another than the
// one that has taken its connection.
func (t *Table) coalesced(c *Connection, why *ConnectionExplanation, r *Request) *CompiledChain {
	host := NormalizeHost(r.Authority)
	if why.Plaintext || host == why.ServerName {
		return nil
	}
	other := t.Chain(c.Listener, host, true, nil)
	if other == nil || other.Name == why.Chain.Name {
		return nil
	}
	return other
}

// misdirects says on what conditions a request for a host of the chain is served on a
// connection that another has taken.
func (c *CompiledChain) misdirects(host string) string {
	text := host + " belongs to chain " + c.Name
	switch {
	case c.TLS == nil:
		return text + ", which passes TLS through: the request is answered 421 (Misdirected Request)"
	case c.table == nil:
		return text + ", which does not serve requests: the request is answered 421 (Misdirected Request)"
	}
	text += ": the request would be answered 421 (Misdirected Request) unless the certificate presented covers it"
	if c.TLS.ClientAuth == NoClientCertificate {
		return text
	}
	return text + " and asks clients for the same"
}
