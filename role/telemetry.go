package role

// listenerMetrics counts sockets, by whether they are bound.
func (p *process) listenerMetrics() (bound, unbound int) {
	for _, l := range p.listeners.status() {
		if l.Bound {
			bound++
		} else {
			unbound++
		}
	}
	return bound, unbound
}
