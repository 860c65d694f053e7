package peer

import (
	"context"
	"io"
)

var traefikProxy = &proxy{
	name: "traefik",
	prepare: func(ctx context.Context, cache string, progress io.Writer) (string, string, error) {
		return traefikModule.build(ctx, cache, progress)
	},
	prepared: traefikModule.built,
	files: func(in *instance) error {
		if err := in.write("traefik.yaml", "traefik.yaml.tmpl", in); err != nil {
			return err
		}
		return in.writeTraefikRoutes()
	},
	start: func(in *instance) error {
		_, err := in.run(in.binary, in.gomaxprocs(), "--configFile="+in.path("traefik.yaml"))
		return err
	},
	// It watches the folder.
	renew:  func(*instance) error { return nil },
	reload: (*instance).writeTraefikRoutes,
	untold: []string{"X-Request-Id", "X-Envoy-Original-Path"},
}

func (in *instance) writeTraefikRoutes() error {
	return in.write("dynamic/routes.yaml", "traefik-routes.yaml.tmpl", in)
}

// traefikModule leaves out the providers of DNS for certificates, some of whose modules cannot be
// had.
var traefikModule = module{
	folder: "traefik", module: "github.com/traefik/traefik/v3", pkg: "github.com/traefik/traefik/v3/cmd/traefik",
	without: &omission{module: "github.com/go-acme/lego/v5", folder: "providers/dns", ours: "dns"},
}
