package gateway

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
)

func TestBinds(t *testing.T) {
	t.Parallel()
	http := &router.Listener{Name: "http", Port: 80, NodePorts: []uint16{31380}, Tables: []*router.RouteTable{{Port: 80}}}
	behind := &router.Listener{Name: "behind a Service", Port: 8080, Tables: []*router.RouteTable{{Port: 80}}}
	tls := &router.Listener{Name: "tls", Port: 8443, Chains: []*router.Chain{{Name: "https", Table: &router.RouteTable{Port: 443}}}}
	bytes := &router.Listener{Name: "bytes", Port: 6379, Chains: []*router.Chain{{Name: "tcp", Port: 16379}}}
	fixed := &router.Listener{Name: "fixed", Address: "127.0.0.5", Port: 81}
	unix := &router.Listener{Name: "unix", Address: "unix:///run/gateway.sock"}
	wrong := &router.Listener{Name: "wrong", Address: "example.com", Port: 82}
	other := &router.Listener{Name: "other", Port: 8080}
	for name, c := range map[string]struct {
		options   Options
		listeners []*router.Listener
		want      []string
		condition string
	}{
		"nothing":            {Options{}, nil, nil, ""},
		"as asked":           {Options{}, []*router.Listener{http, fixed, unix}, []string{"http 0.0.0.0:80", "fixed 127.0.0.5:81", "unix unix:///run/gateway.sock"}, ""},
		"another address":    {Options{Address: netip.MustParseAddr("::")}, []*router.Listener{http, fixed}, []string{"http [::]:80", "fixed 127.0.0.5:81"}, ""},
		"node ports":         {Options{NodePorts: true}, []*router.Listener{http}, []string{"http 0.0.0.0:80", "http 0.0.0.0:31380"}, ""},
		"mapped":             {Options{PortMap: map[uint16]uint16{80: 8080, 31380: 0}, NodePorts: true}, []*router.Listener{http}, []string{"http 0.0.0.0:8080", "http 0.0.0.0:0"}, ""},
		"mapped onto node":   {Options{PortMap: map[uint16]uint16{80: 31380}, NodePorts: true}, []*router.Listener{http}, []string{"http 0.0.0.0:31380"}, ""},
		"mapped by Gateway":  {Options{PortMap: map[uint16]uint16{80: 9090}}, []*router.Listener{behind}, []string{"behind a Service 0.0.0.0:9090"}, ""},
		"mapped by chains":   {Options{PortMap: map[uint16]uint16{443: 9443, 16379: 9379}}, []*router.Listener{tls, bytes}, []string{"tls 0.0.0.0:9443", "bytes 0.0.0.0:9379"}, ""},
		"mapped by socket":   {Options{PortMap: map[uint16]uint16{80: 9090, 8080: 9091}}, []*router.Listener{behind}, []string{"behind a Service 0.0.0.0:9091"}, ""},
		"any port, twice":    {Options{PortMap: map[uint16]uint16{80: 0, 8080: 0}}, []*router.Listener{http, other}, []string{"http 0.0.0.0:0", "other 0.0.0.0:0"}, ""},
		"mapped onto others": {Options{PortMap: map[uint16]uint16{80: 8080}}, []*router.Listener{http, other}, []string{"http 0.0.0.0:8080"}, "Listener other: 0.0.0.0:8080 is listener http's already"},
		"no address":         {Options{}, []*router.Listener{wrong, fixed}, []string{"fixed 127.0.0.5:81"}, `Listener wrong: bind address "example.com" is neither`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !c.options.Address.IsValid() {
				c.options.Address = netip.IPv4Unspecified()
			}
			binds, conditions := c.options.binds(c.listeners)
			var got []string
			for _, b := range binds {
				got = append(got, b.Listener+" "+b.Address)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			switch {
			case c.condition == "" && len(conditions) > 0:
				t.Errorf("conditions: %v", conditions)
			case c.condition != "" && (len(conditions) != 1 || !strings.HasPrefix(conditions[0].String(), c.condition)):
				t.Errorf("got conditions %v, want %s", conditions, c.condition)
			}
		})
	}
}

func TestInstead(t *testing.T) {
	t.Parallel()
	for port, want := range map[uint16]string{0: "", 80: "--port-map 80=8080", 443: "--port-map 443=8443", 65000: "--port-map 65000=57000"} {
		if got := instead(port); got != want {
			t.Errorf("%d: %q, want %q", port, got, want)
		}
	}
}

// TestBindsHTTP3: a listener with HTTPS has a UDP socket too, and tells clients of the port
// that they know.
func TestBindsHTTP3(t *testing.T) {
	t.Parallel()
	https := &router.Chain{Name: "https", ServerNames: []string{"*"}, TLS: &router.ServerTLS{}, Table: &router.RouteTable{Port: 443}}
	through := &router.Chain{Name: "tls", ServerNames: []string{"*"}, Streams: []*router.StreamRoute{{}}}
	for name, c := range map[string]struct {
		options  Options
		listener *router.Listener
		want     []role.Bind
	}{
		"at the port itself": {Options{HTTP3: true}, &router.Listener{Name: "l", Port: 443, Chains: []*router.Chain{https}}, []role.Bind{
			{Address: "0.0.0.0:443", AltSvc: 443}, {Address: "0.0.0.0:443", AltSvc: 443, Datagrams: true}}},
		"behind a Service": {Options{HTTP3: true}, &router.Listener{Name: "l", Port: 8443, Chains: []*router.Chain{https}}, []role.Bind{
			{Address: "0.0.0.0:8443", AltSvc: 443}, {Address: "0.0.0.0:8443", AltSvc: 443, Datagrams: true}}},
		"moved": {Options{HTTP3: true, PortMap: map[uint16]uint16{443: 9443}}, &router.Listener{Name: "l", Port: 443, Chains: []*router.Chain{https}}, []role.Bind{
			{Address: "0.0.0.0:9443", AltSvc: 9443}, {Address: "0.0.0.0:9443", AltSvc: 9443, Datagrams: true}}},
		"not asked for":  {Options{}, &router.Listener{Name: "l", Port: 443, Chains: []*router.Chain{https}}, []role.Bind{{Address: "0.0.0.0:443"}}},
		"passed through": {Options{HTTP3: true}, &router.Listener{Name: "l", Port: 443, Chains: []*router.Chain{through}}, []role.Bind{{Address: "0.0.0.0:443"}}},
	} {
		c.options.Address = netip.IPv4Unspecified()
		got, conditions := c.options.binds([]*router.Listener{c.listener})
		if len(conditions) > 0 {
			t.Errorf("%s: %v", name, conditions)
		}
		for i := range got {
			got[i].Listener, got[i].Port, got[i].Instead = "", 0, ""
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// TestBindsProxyProtocol: what --proxy-protocol says of a port holds for the sockets of a Gateway
// that calls its port so, wherever they are.
func TestBindsProxyProtocol(t *testing.T) {
	t.Parallel()
	behind := &router.Listener{Name: "behind a Service", Port: 8443, NodePorts: []uint16{31390}, Chains: []*router.Chain{{Table: &router.RouteTable{Port: 443}}}}
	other := &router.Listener{Name: "other", Port: 81, Tables: []*router.RouteTable{{Port: 81}}}
	o := Options{Address: netip.IPv4Unspecified(), NodePorts: true, PortMap: map[uint16]uint16{443: 9443}}
	for name, c := range map[string]struct {
		ports []uint16
		want  []uint16
	}{
		"none":               {nil, []uint16{0, 0, 0}},
		"every port":         {[]uint16{0}, []uint16{0, 0, 0}},
		"as the Gateway has": {[]uint16{0, 443}, []uint16{443, 443, 0}},
		"as it is bound":     {[]uint16{443, 8443}, []uint16{8443, 8443, 0}},
		"by node":            {[]uint16{443, 31390, 81}, []uint16{443, 31390, 81}},
	} {
		o.ProxyProtocol = make(role.ProxyProtocol)
		for _, port := range c.ports {
			o.ProxyProtocol[port] = nil
		}
		binds, _ := o.binds([]*router.Listener{behind, other})
		var got []uint16
		for _, b := range binds {
			got = append(got, b.ProxyPort)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
