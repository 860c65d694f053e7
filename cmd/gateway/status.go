package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/discovery/kube"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/role"
)

// statuses are the flags for what is written to the cluster.
type statuses struct {
	on      bool
	options kube.StatusOptions
}

func (s *statuses) add(flags *pflag.FlagSet) {
	flags.BoolVar(&s.on, "status-writing", true, "write what is wrong with objects into their status and into Events, and the gateway's addresses into Ingresses; one replica does")
	flags.StringVar(&s.options.Lease, "lease-name", "", "lease in the gateway's namespace of which the holder writes statuses; empty for one that gateways with the same --labels share")
	flags.StringVar(&s.options.Service, "publish-service", "", "NAMESPACE/NAME of the Service whose addresses Ingresses get; empty for the one that selects --labels")
	flags.StringSliceVar(&s.options.Addresses, "publish-address", nil, "IP address or host name that Ingresses get, instead of a Service's (repeatable)")
}

// check reports what makes no sense in them.
func (s *statuses) check(cmd *cobra.Command, inCluster bool) error {
	for _, name := range []string{"status-writing", "lease-name", "publish-service", "publish-address"} {
		switch changed := cmd.Flags().Changed(name); {
		case changed && !inCluster:
			return start.Misusef("--%s has no effect without --kube", name)
		case changed && !s.on && name != "status-writing":
			return start.Misusef("--%s has no effect with --status-writing=false", name)
		}
	}
	if service := s.options.Service; service != "" {
		if namespace, name, ok := strings.Cut(service, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return start.Misusef("--publish-service %q: must be NAMESPACE/NAME", service)
		}
		if len(s.options.Addresses) > 0 {
			return start.Misusef("--publish-service and --publish-address exclude each other: Ingresses get a Service's addresses, or those given")
		}
	}
	for _, a := range s.options.Addresses {
		if a == "" || strings.ContainsAny(a, " :/") && strings.Count(a, ":") < 2 {
			return start.Misusef("--publish-address %q: must be an IP address or a host name, without a port", a)
		}
	}
	return nil
}

// write has the gateway write to the cluster that it follows.
func (s *statuses) write(k *kube.Cluster, o *gateway.Options, ingresses *ingress.Options, proxy *istio.Options) {
	if !s.on {
		return
	}
	s.options.Labels = o.Labels
	w := k.NewStatusWriter(s.options)
	o.Source, o.Collectors, ingresses.Served, proxy.Foreign = w.Watch, w.Collectors(), w.Served, w.Foreign
	o.Notify = func(now role.Status) { w.Conditions(now.Conditions) }
}
