package config

// Source is where the text of an object is kept.
type Source interface {
	// Text returns the text, which nobody may change. It may be unpacked for that, so that who
	// needs it often keeps it for as long. It may be called by any number of goroutines.
	Text() []byte
}

// Text returns the text of this one object, YAML or JSON; nil for one that is Derived. Nobody
// may change it.
func (o *Object) Text() []byte {
	if o.Manifest == nil && o.Source != nil {
		return o.Source.Text()
	}
	return o.Manifest
}

// Opened returns the object with its Manifest at hand: itself, or a copy for as long as it is
// needed.
func (o *Object) Opened() *Object {
	if o.Manifest != nil || o.Source == nil {
		return o
	}
	opened := *o
	opened.Manifest = o.Source.Text()
	return &opened
}
