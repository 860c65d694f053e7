package socket

// Sleeper is who owns a socket in a [Lot].
type Sleeper interface {
	// Wake is called when the socket has news. It must not wait.
	Wake()
}

// Resumer is who goes on with a connection that was left to a [Lot].
type Resumer interface {
	// Resume lets a goroutine serve the connection. It does not wait.
	Resume()
}

// Parked returns how many sockets are in the lot.
func (l *Lot) Parked() int { return int(l.parked.Load()) }

// Crowded tells whether memory has to be thought of: many connections hold more than they
// would in the lot. They should go there soon.
func (l *Lot) Crowded() bool { return l.crowded.Load() }

// SetCrowded sets what Crowded tells.
func (l *Lot) SetCrowded(is bool) {
	if l.crowded.Load() != is {
		l.crowded.Store(is)
	}
}
