package peer

import (
	"fmt"
	"path/filepath"
)

// sidecarFiles writes the configuration of two sidecars: the client's knows all hosts, the
// server's nothing but its own workload.
func (in *instance) sidecarFiles() error {
	addrs := freeAddresses(2)
	in.Inbound, in.serverAdmin = addrs[0], addrs[1]
	for file, template := range map[string]string{"client/config.yaml": "sluice-sidecar.yaml.tmpl", "server/config.yaml": "sluice-server.yaml.tmpl"} {
		if err := in.write(file, template, in); err != nil {
			return err
		}
	}
	return nil
}

// startSidecars starts the server's sidecar in front of the first backend, and the client's,
// which is what the load speaks to.
func (in *instance) startSidecars() error {
	binary := filepath.Join(filepath.Dir(in.binary), "sluice-sidecar")
	_, err := in.run(binary, in.gomaxprocs(), "--config", in.path("server"), "--workload-labels", "app=backend",
		"--outbound", "", "--inbound", fmt.Sprintf("%s=%s", in.Inbound, in.Backends[0]), "--admin", in.serverAdmin, "--status", "")
	if err != nil {
		return err
	}
	_, err = in.run(binary, in.gomaxprocs(), "--config", in.path("client"), "--workload-labels", "app=client",
		"--outbound", in.Address, "--admin", in.Admin, "--status", "")
	return err
}
