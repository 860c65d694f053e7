package peer

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

var envoyProxy = &proxy{
	name: "envoy",
	prepare: func(context.Context, string, io.Writer) (string, string, error) {
		return envoyInstalled("")
	},
	prepared: envoyInstalled,
	files: func(in *instance) error {
		if err := in.write("envoy.yaml", "envoy.yaml.tmpl", in); err != nil {
			return err
		}
		return in.writeEnvoyRoutes()
	},
	start: func(in *instance) error {
		// A base id of its own lets several run; nothing is said of each connection.
		_, err := in.run(in.binary, nil, "-c", in.path("envoy.yaml"), "--concurrency", strconv.Itoa(in.Cores), "--use-dynamic-base-id", "--log-level", "warning")
		return err
	},
	// It watches the file of the routes for one that is put into its place.
	renew:  func(*instance) error { return nil },
	reload: (*instance).writeEnvoyRoutes,
}

func (in *instance) writeEnvoyRoutes() error {
	return in.write("routes/routes.yaml", "envoy-routes.yaml.tmpl", in)
}

// envoyInstalled finds Envoy on PATH: no package of Debian or of Go has it.
func envoyInstalled(string) (binary, version string, err error) {
	if binary, err = exec.LookPath("envoy"); err != nil {
		return "", "", fmt.Errorf("no envoy is on PATH")
	}
	out, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("envoy --version: %w", err)
	}
	// envoy  version: COMMIT/1.36.2/Clean/RELEASE/BoringSSL
	parts := strings.Split(string(out), "/")
	if len(parts) < 3 {
		return "", "", fmt.Errorf("envoy --version says no version: %s", out)
	}
	return binary, parts[1], nil
}
