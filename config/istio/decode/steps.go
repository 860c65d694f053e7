package decode

import "github.com/sluicegate/sluice/config"

// step is one of the steps from the root to what the decoder is at. They become a
// [config.Path] only where something is to be said, which is seldom.
type step struct {
	kind  stepKind
	name  string
	index int
}

type stepKind uint8

const (
	fieldStep stepKind = iota
	indexStep
	keyStep
)

// here returns the path to what the decoder is at.
func (d *decoder) here() *config.Path {
	at := d.base
	for _, s := range d.steps {
		switch s.kind {
		case indexStep:
			at = at.Index(s.index)
		case keyStep:
			at = at.Key(s.name)
		default:
			at = at.Field(s.name)
		}
	}
	return at
}
