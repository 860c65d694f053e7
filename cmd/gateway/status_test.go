package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/cmd/internal/start"
)

// TestStatusMisuse: flags for what is written that make no sense are told of.
func TestStatusMisuse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--config x --status-writing":                                        "--status-writing has no effect without --kube",
		"--config x --publish-address 192.0.2.1":                             "--publish-address has no effect without --kube",
		"--kube --status-writing=false --lease-name x":                       "--lease-name has no effect with --status-writing=false",
		"--kube --publish-service edge":                                      "must be NAMESPACE/NAME",
		"--kube --publish-service a/b/c":                                     "must be NAMESPACE/NAME",
		"--kube --publish-service a/b --publish-address 192.0.2.1":           "exclude each other",
		"--kube --publish-address 192.0.2.1:80":                              "without a port",
		"--kube --publish-address http://edge.example.com":                   "must be an IP address or a host name",
		"--kube --publish-address 192.0.2.1,2001:db8::1 --trusted-hops -1":   "--trusted-hops", // the addresses are fine
		"--kube --publish-service istio-system/sluice-gateway --drain -1s":   "--drain",
		"--kube --publish-address edge.example.com --max-header-bytes 0":     "--max-header-bytes",
		"--kube --lease-name another --status-writing=true --lame-duck -10s": "--lame-duck",
	} {
		var stdout, stderr bytes.Buffer
		if got := start.Execute(newCommand(), strings.Fields(args), &stdout, &stderr); got != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit status %d, no %q in %q", args, got, want, &stderr)
		}
	}
}
