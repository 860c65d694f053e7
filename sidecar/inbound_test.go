package sidecar

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/router"
)

func TestParseInbound(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0.0.0.0:9080=127.0.0.1:19080":          "",
		"[::1]:9080=localhost:19080":            "",
		"unix:///run/in.sock=unix:///run/a":     "",
		"127.0.0.1:0=127.0.0.1:9080":            "",
		"9080":                                  "LISTEN=LOCAL",
		":9080=127.0.0.1:1":                     "not an IP address",
		"example.com:9080=127.0.0.1:1":          "not an IP address",
		"127.0.0.1=127.0.0.1:1":                 "neither IP:PORT nor unix",
		"127.0.0.1:9080=127.0.0.1:http":         "not a port",
		"127.0.0.1:9080=127.0.0.1:99999":        "not a port",
		"127.0.0.1:9080=127.0.0.1:9080":         "call itself",
		"127.0.0.1:9080=localhost:9080":         "call itself",
		"localhost:9080=127.0.0.1:9080":         "call itself",
		"0.0.0.0:9080=127.0.0.1:9080":           "call itself",
		"0.0.0.0:9080=localhost:9080":           "call itself",
		"[::]:9080=127.0.0.1:9080":              "call itself",
		"[::]:9080=[::1]:9080":                  "call itself",
		"[::]:9080=[::ffff:127.0.0.1]:9080":     "call itself",
		"0.0.0.0:9080=[::1]:9080":               "",
		"0.0.0.0:9080=10.0.0.7:9080":            "",
		"10.0.0.7:9080=127.0.0.1:9080":          "",
		"unix://relative=127.0.0.1:1":           "unix:///PATH",
		"127.0.0.1:9080=127.0.0.1:9081=1.1.1.1": "not a port",
	} {
		got, err := ParseInbound(in)
		switch {
		case want == "" && (err != nil || got.Listen+"="+got.Local != in):
			t.Errorf("%s: %+v, %v", in, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

func FuzzParseInbound(f *testing.F) {
	for _, s := range []string{"0.0.0.0:9080=127.0.0.1:19080", "unix:///a=unix:///b", "=", "[::1]:1=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in, err := ParseInbound(s)
		if err != nil {
			return
		}
		if in.Listen+"="+in.Local != s {
			t.Fatalf("%q became %+v", s, in)
		}
		if _, problems := router.Build(inboundSpec([]Inbound{in}), nil); len(problems) > 0 {
			t.Fatalf("%q: %v", s, problems)
		}
	})
}

func TestInboundSpec(t *testing.T) {
	t.Parallel()
	spec := inboundSpec([]Inbound{{"10.0.0.1:9080", "localhost:1"}, {"10.0.0.2:9080", "127.0.0.1:2"}, {"unix:///in", "unix:///app"}})
	for i, want := range []struct{ listener, cluster, endpoint string }{
		{"inbound_10.0.0.1:9080", "inbound|9080||", "127.0.0.1:1"},
		{"inbound_10.0.0.2:9080", "inbound|9080||10.0.0.2:9080", "127.0.0.1:2"},
		{"inbound_unix:///in", "inbound|unix:///in||", "unix:///app"},
	} {
		if l, c := spec.Listeners[i], spec.Clusters[2*i]; l.Name != want.listener || c.Name != want.cluster || c.Endpoints[0].Address != want.endpoint {
			t.Errorf("%d: listener %s, cluster %s at %s; want %+v", i, l.Name, c.Name, c.Endpoints[0].Address, want)
		}
	}
	table, problems := router.Build(spec, nil)
	if len(problems) > 0 {
		t.Error(problems)
	}
	d := table.Route(&router.Request{Listener: "inbound_10.0.0.2:9080", Method: "GET", Authority: "any", Path: "/x"})
	if picked := d.Pick(0); picked == nil || picked.Cluster.Name != "inbound|9080||10.0.0.2:9080" {
		t.Errorf("picked %+v", picked)
	}
	d = table.Route(&router.Request{Listener: "inbound_10.0.0.2:9080", Method: "POST", Authority: "any", Path: "/x",
		Headers: []router.Header{{Name: "content-type", Value: "application/grpc+proto"}}})
	if picked := d.Pick(0); picked == nil || picked.Cluster.Name != "inbound|9080|grpc|10.0.0.2:9080" {
		t.Errorf("picked %+v for gRPC", picked)
	}
}

// TestWithInboundKeepsPointers: a Spec that did not change is the same one, so that no
// new table is made of it.
func TestWithInboundKeepsPointers(t *testing.T) {
	t.Parallel()
	compiled := &router.Spec{Listeners: []*router.Listener{{Name: Outbound}}}
	fresh := func() pipeline.Compile {
		return func(config.Delta) (*router.Spec, []config.Condition) { return compiled, nil }
	}
	own := inboundSpec([]Inbound{{"127.0.0.1:1", "127.0.0.1:2"}})
	compile := withInbound(fresh, own)()
	first, _ := compile(config.Delta{})
	if len(first.Listeners) != 2 || first.Listeners[1] != own.Listeners[0] || len(compiled.Listeners) != 1 {
		t.Errorf("joined %+v of %+v", first.Listeners, compiled.Listeners)
	}
	if again, _ := compile(config.Delta{}); again != first {
		t.Error("the same Spec was joined anew")
	}
	compiled = &router.Spec{}
	if next, _ := compile(config.Delta{}); len(next.Listeners) != 1 || next.Listeners[0] != own.Listeners[0] {
		t.Errorf("then joined %+v", next.Listeners)
	}
	if spec, _ := withInbound(fresh, &router.Spec{})()(config.Delta{}); spec != compiled {
		t.Error("without listeners of its own the Spec is another one")
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:15001": false, "[::1]:15001": false, "localhost:15001": false, "unix:///x": false,
		"0.0.0.0:15001": true, "[::]:15001": true, ":15001": true, "10.0.0.1:15001": true,
	} {
		if got := reachable(address); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

// TestBinds: telemetry tells calls to the workload from its own by the socket.
func TestBinds(t *testing.T) {
	t.Parallel()
	binds, _ := Options{Outbound: "127.0.0.1:15001", Inbound: []Inbound{{"127.0.0.1:1", "127.0.0.1:2"}}}.binds(nil)
	if len(binds) != 2 || binds[0].Inbound || !binds[1].Inbound {
		t.Errorf("%+v", binds)
	}
}
