package peer

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// hostsInFile is how many hosts share a file of the gateway's folder: a folder has a file for
// each team or application, not one with everything.
const hostsInFile = 100

var sluiceProxy = &proxy{
	name:     "sluice",
	prepare:  buildSluice,
	prepared: sluicePrepared,
	files: func(in *instance) error {
		if in.Sidecars {
			return in.sidecarFiles()
		}
		for _, file := range []string{"gateway", "backends"} {
			if err := in.write("config/"+file+".yaml", "sluice-"+file+".yaml.tmpl", in); err != nil {
				return err
			}
		}
		for first := 0; first < len(in.Sites); first += hostsInFile {
			if err := in.writeHosts(first); err != nil {
				return err
			}
		}
		return nil
	},
	// A change is one of the file with the last host, which takes effect when it is there.
	renew:  func(*instance) error { return nil },
	reload: func(in *instance) error { return in.writeHosts((len(in.Sites) - 1) / hostsInFile * hostsInFile) },
	start: func(in *instance) error {
		if in.Sidecars {
			return in.startSidecars()
		}
		// Defaults, but for addresses, since several gateways share the machine.
		args := []string{"--config", in.path("config"), "--address", "127.0.0.1", "--admin", in.Admin, "--status", ""}
		if in.Many() {
			// 10,000 idle connections and a probe are one more than it lets in.
			args = append(args, "--max-connections", "20000")
		}
		if in.AccessLog {
			args = append(args, "--access-log", in.Log)
		}
		_, err := in.run(in.binary, in.gomaxprocs(), args...)
		return err
	},
}

// hosts are those that share a file.
type hosts struct {
	*instance
	First bool
	Sites []host
}

func (in *instance) writeHosts(first int) error {
	file := fmt.Sprintf("config/hosts-%06d.yaml", first)
	return in.write(file, "sluice-hosts.yaml.tmpl", hosts{in, first == 0, in.Sites[first:min(first+hostsInFile, len(in.Sites))]})
}

// Protocol is what a server of the Gateway speaks.
func (in *instance) Protocol() string {
	switch {
	case in.TCP() && in.TLS:
		return "TLS"
	case in.TCP():
		return "TCP"
	case in.TLS:
		return "HTTPS"
	}
	return "HTTP"
}

// UpstreamProtocol is what the backends' ServiceEntry says.
func (in *instance) UpstreamProtocol() string {
	switch {
	case in.TCP():
		return "TCP"
	case in.GRPC():
		return "GRPC"
	}
	return "HTTP"
}

// Profile is what releases are compiled by, in the project's folder.
const Profile = "cmd/traffic.pgo"

// buildSluice builds the gateway and the sidecar of the files around the load test, as releases
// are built.
func buildSluice(ctx context.Context, cache string, progress io.Writer) (binary, version string, err error) {
	root, err := moduleFolder(ctx)
	if err != nil {
		return "", "", err
	}
	for _, name := range []string{"gateway", "sidecar"} {
		if err := goBuild(ctx, filepath.Dir(root), filepath.Join(cache, "sluice-"+name), "./cmd/"+name, "-pgo="+Profile); err != nil {
			return "", "", err
		}
	}
	return sluicePrepared(cache)
}

func sluicePrepared(cache string) (binary, version string, err error) {
	if binary, err = filepath.Abs(filepath.Join(cache, "sluice-gateway")); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(binary); err != nil {
		return "", "", fmt.Errorf("the gateway has not been built: %w", err)
	}
	out, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("sluice-gateway --version: %w", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return binary, strings.TrimSpace(strings.TrimPrefix(line, "sluice-gateway version ")), nil
}
