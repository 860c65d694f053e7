package peer

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/sluicegate/sluice/loadtest/work"
)

// directProxy is none: clients speak to the first backend.
var directProxy = &proxy{
	name:     work.Direct,
	blind:    true,
	prepare:  nothing,
	prepared: func(string) (string, string, error) { return "", "", nil },
	files:    func(*instance) error { return nil },
	start: func(in *instance) error {
		if in.TLS {
			return errors.New("backends have no TLS")
		}
		in.Address = in.Backends[0]
		return nil
	},
}

// relayProxy is the relay of the load test itself.
var relayProxy = &proxy{
	name:     work.Relay,
	blind:    true,
	prepare:  nothing,
	prepared: func(string) (string, string, error) { self, err := os.Executable(); return self, "", err },
	files:    func(*instance) error { return nil },
	start: func(in *instance) error {
		if in.TLS {
			return errors.New("the relay has no TLS")
		}
		_, err := in.run(in.binary, nil, work.Relay, "--address", in.Address, "--to", in.Backends[0])
		return err
	},
}

// nothing is to be made ready.
func nothing(context.Context, string, io.Writer) (string, string, error) { return "", "", nil }
