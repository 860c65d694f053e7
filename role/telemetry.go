package role

// listenerMetrics counts sockets, by whether they are bound. When the process drains none is, and
// none should be.
func (p *process) listenerMetrics() (bound, unbound int) {
	if p.listeners.drains() {
		return 0, 0
	}
	for _, l := range p.listeners.status() {
		if l.Bound {
			bound++
		} else {
			unbound++
		}
	}
	return bound, unbound
}
