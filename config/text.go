package config

// Source is where the text of an object is kept.
type Source interface {
	// Text returns the text, which nobody may change. It may be unpacked for that, so that who
	// needs it often keeps it for as long. It may be called by any number of goroutines.
	Text() []byte
}

// Plain is a text as it is.
type Plain []byte

// Text returns it.
func (p Plain) Text() []byte { return p }

// Text returns the text of this one object, YAML or JSON; nil for one that is Derived. Nobody
// may change it.
func (o *Object) Text() []byte {
	if o.Source == nil {
		return nil
	}
	return o.Source.Text()
}

// Opened returns the object with its text Plain: itself, or a copy for as long as it is needed.
func (o *Object) Opened() *Object {
	if _, plain := o.Source.(Plain); plain || o.Source == nil {
		return o
	}
	opened := *o
	opened.Source = Plain(o.Source.Text())
	return &opened
}
