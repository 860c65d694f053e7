package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/cmd/internal/start"
)

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   string
		status int
		want   string
	}{
		"help":        {"--help", 0, "--workload-labels"},
		"version":     {"--version", 0, "sluice-sidecar version "},
		"no config":   {"", 2, "--config DIR"},
		"inbound":     {"--config x --inbound 9080", 2, "LISTEN=LOCAL"},
		"nothing":     {"--config x --outbound=", 2, "nothing to listen on"},
		"labels":      {"--config x --workload-labels app", 2, "workload-labels"},
		"not a flag":  {"--config x --node-ports", 2, "unknown flag"},
		"admin taken": {"--config x --status= --admin 192.0.2.1:1", 1, "--admin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			got := start.Execute(newCommand(), strings.Fields(c.args), &stdout, &stderr)
			if out := stdout.String() + stderr.String(); got != c.status || !strings.Contains(out, c.want) {
				t.Errorf("exit status %d, want %d, with %q: %s", got, c.status, c.want, out)
			}
		})
	}
}
