// Command sluice-gateway serves Istio's Gateways and VirtualServices, and Kubernetes'
// Ingresses, at the edge, from watched folders of YAML or from a Kubernetes cluster. It owns
// its flags; what they do is package gateway's.
package main

import (
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/version"
)

func main() { os.Exit(start.Execute(newCommand(), os.Args[1:], os.Stdout, os.Stderr)) }

func newCommand() *cobra.Command {
	shared := start.Flags{Namespace: "istio-system", Admin: "127.0.0.1:15000", Status: "0.0.0.0:15021"}
	var o gateway.Options
	var address, slashes, underscores string
	var portMap, proxyProtocol []string
	var certificates issuing
	var ingresses ingress.Options
	var cluster cluster
	var statuses statuses
	cmd := &cobra.Command{
		Use:     "sluice-gateway --config DIR | --kube",
		Short:   "Serve Istio's Gateways and VirtualServices at the edge",
		Example: "  sluice-gateway --config ./config --port-map 80=8080 --access-log -",
		Version: version.Get().String(),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			shared.Elsewhere = cluster.on
			if o.Logger, err = shared.Check(cmd); err != nil {
				return err
			}
			if o.Address, err = netip.ParseAddr(address); err != nil {
				return start.Misusef("--address %q: must be an IP address, such as 0.0.0.0 or ::", address)
			}
			if o.PortMap, err = parsePortMap(portMap); err != nil {
				return err
			}
			if o.ProxyProtocol, err = parseProxyProtocol(proxyProtocol); err != nil {
				return err
			}
			if o.Policy, err = parsePolicy(slashes, underscores); err != nil {
				return err
			}
			if err := cluster.check(cmd, len(shared.Config) > 0); err != nil {
				return err
			}
			if err := statuses.check(cmd, cluster.on); err != nil {
				return err
			}
			if err := checkIngress(cmd, &ingresses, len(shared.Config) > 0); err != nil {
				return err
			}
			if o.TrustedHops < 0 {
				return start.Misusef("--trusted-hops %d: must not be negative", o.TrustedHops)
			}
			if err := checkHSTS(o.TLS.HSTS); err != nil {
				return err
			}
			if err := certificates.check(cluster.on); err != nil {
				return err
			}
			proxy := istio.Options{Role: istio.Gateway, Labels: o.Labels, Namespace: shared.Namespace, Locality: shared.Locality, Node: cluster.node(shared.Locality), ACMEForAll: certificates.all}
			o.Source, o.Config = start.Files(shared.Config), shared.Config
			if cluster.on {
				if o.Source, o.Config, err = cluster.follow(o.Logger, ingresses, proxy, start.MeshConfigMap(shared.MeshConfig)); err != nil {
					return err
				}
				statuses.write(cluster.kube, &o, &ingresses, &proxy)
				o.Source = unhurried(o.Source)
				o.Collectors = append(o.Collectors, cluster.kube)
			}
			o.Source = start.WithMesh(o.Source, shared.MeshConfig)
			issuer, end, err := certificates.manager(o.Logger, cluster.kube, o.Labels)
			if err != nil {
				return err
			}
			defer end()
			if issuer != nil {
				o.TLS.Issuer = issuer
			}
			o.NewCompiler = compilers(ingresses, proxy)
			o.Namespace = shared.Namespace
			o.AdminProfiles, o.LogLevel = shared.AdminProfiles, &shared.LogLevel
			o.Admin, o.AdminRemote, o.Status, o.Metrics = shared.Admin, shared.AdminRemote, shared.Status, shared.Metrics
			o.Peers = shared.Peers()
			o.TLS.MeshDir, o.TLS.TicketKeys = shared.MeshCertificates, shared.TicketKeys
			o.ResolvConf = shared.ResolvConf
			o.AccessLog, o.AccessLogFormat, o.AccessLogJSON = shared.AccessLog, shared.AccessLogFormat, shared.AccessLogJSON()
			o.ReopenLogs = start.ReopenSignal()
			o.Drain, o.LameDuck, o.Limits = shared.Drain, shared.LameDuck, shared.Limits
			o.Identity = shared.Identity("router", o.Labels)
			o.Buckets = shared.Buckets
			start.Process()
			return gateway.Run(cmd.Context(), o)
		},
	}
	shared.Add(cmd)
	flags := cmd.Flags()
	certificates.add(flags)
	addIngress(flags, &ingresses)
	cluster.add(flags)
	statuses.add(flags)
	flags.StringToStringVar(&o.Labels, "labels", map[string]string{"istio": "ingressgateway"}, "labels by which Gateways select this proxy")
	flags.StringVar(&address, "address", "0.0.0.0", "IP address to listen on where a Gateway names none; :: serves IPv4 and IPv6")
	flags.StringArrayVar(&portMap, "port-map", nil, "listen elsewhere than at a port that a Gateway asks for: 80=8080 (repeatable)")
	flags.BoolVar(&o.NodePorts, "node-ports", false, "also listen at the nodePorts of the Service that selects this proxy")
	flags.StringArrayVar(&proxyProtocol, "proxy-protocol", nil, "networks whose connections begin with a header of the PROXY protocol, version 1 or 2, that tells the client: 10.0.0.0/8,fd00::/8, or for one port 443=10.0.0.0/8 (repeatable)")
	flags.BoolVar(&o.HTTP3, "http3", false, "serve HTTP/3 too wherever HTTPS is served, at the UDP port of the same number, and tell clients of it")
	flags.StringVar(&o.TLS.HSTS, "hsts", "", "strict-transport-security of responses over HTTPS that have none, such as max-age=31536000; empty for none")
	flags.IntVar(&o.TrustedHops, "trusted-hops", 0, "number of proxies in front of this one whose x-forwarded-for is believed")
	flags.StringVar(&slashes, "escaped-slashes", "reject", "what becomes of a path with %2F, %5C or a backslash: reject answers 400, keep leaves it, redirect answers 307 to the path unescaped")
	flags.StringVar(&underscores, "header-underscores", "reject", "what becomes of a request with an underscore in a header's name: reject answers 400, allow leaves it")
	return cmd
}

// parsePolicy reads what requests may look like.
func parsePolicy(slashes, underscores string) (p http1.Policy, err error) {
	switch slashes {
	case "reject":
	case "keep":
		p.EscapedSlashes = http1.KeepEscapedSlashes
	case "redirect":
		p.EscapedSlashes = http1.RedirectEscapedSlashes
	default:
		return p, start.Misusef("--escaped-slashes %q: must be reject, keep or redirect", slashes)
	}
	switch underscores {
	case "reject":
	case "allow":
		p.AllowUnderscores = true
	default:
		return p, start.Misusef("--header-underscores %q: must be reject or allow", underscores)
	}
	return p, nil
}

// parsePortMap reads "80=8080" and its like.
func parsePortMap(list []string) (map[uint16]uint16, error) {
	ports := make(map[uint16]uint16, len(list))
	for _, s := range list {
		from, to, _ := strings.Cut(s, "=")
		f, err := strconv.ParseUint(from, 10, 16)
		t, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil || f == 0 {
			return nil, start.Misusef("--port-map %q: must be PORT=PORT, such as 80=8080", s)
		}
		if had, twice := ports[uint16(f)]; twice && had != uint16(t) {
			return nil, start.Misusef("--port-map: port %d is given twice", f)
		}
		ports[uint16(f)] = uint16(t)
	}
	return ports, nil
}
