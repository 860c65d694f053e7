package router

import "slices"

// CalledPorts are the ports that callers address, of its tables or chains, each once.
func (l *Listener) CalledPorts() []uint16 {
	var ports []uint16
	add := func(port uint16) {
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	for _, t := range l.Tables {
		add(t.Port)
	}
	for _, c := range l.Chains {
		add(c.CalledPort())
	}
	return ports
}

// RouteTables are the listener's, those of its chains included.
func (l *Listener) RouteTables() []*RouteTable {
	tables := slices.Clone(l.Tables)
	for _, c := range l.Chains {
		if c.Table != nil {
			tables = append(tables, c.Table)
		}
	}
	return tables
}
