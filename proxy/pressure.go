package proxy

// Pressure is how short of memory a process is.
type Pressure uint8

const (
	// PressureNone: all is well.
	PressureNone Pressure = iota
	// PressureHigh: little is left. Connections are not kept alive, so that clients come
	// back elsewhere.
	PressureHigh
	// PressureExtreme: next to nothing is left. Requests are refused.
	PressureExtreme
)
