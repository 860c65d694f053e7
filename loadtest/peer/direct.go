package peer

import (
	"context"
	"errors"
	"io"
)

// directProxy is none: clients speak to the first backend.
var directProxy = &proxy{
	name:     "direct",
	prepare:  func(context.Context, string, io.Writer) (string, string, error) { return "", "", nil },
	prepared: func(string) (string, string, error) { return "", "", nil },
	files:    func(*instance) error { return nil },
	start: func(in *instance) error {
		if in.TLS {
			return errors.New("backends have no TLS")
		}
		in.Address = in.Backends[0]
		// Nothing leads anywhere else.
		_, r := in.last()
		r.To = r.Prefix
		return nil
	},
}
