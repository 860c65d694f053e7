// Command sluice-sidecar serves one workload's calls by the mesh's VirtualServices, from
// watched folders of YAML. It owns its flags; what they do is package sidecar's.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/sidecar"
	"github.com/sluicegate/sluice/telemetry/merge"
	"github.com/sluicegate/sluice/version"
)

func main() { os.Exit(start.Execute(newCommand(), os.Args[1:], os.Stdout, os.Stderr)) }

func newCommand() *cobra.Command {
	// The ports of the gateway's servers are left to it: both run on one machine.
	shared := start.Flags{Namespace: "default", Admin: "127.0.0.1:15005", Status: "0.0.0.0:15022"}
	var o sidecar.Options
	var inbound []string
	cmd := &cobra.Command{
		Use:     "sluice-sidecar --config DIR",
		Short:   "Serve one workload's calls by the mesh's VirtualServices",
		Example: "  sluice-sidecar --config ./config --workload-labels app=productpage,version=v1\n  curl --proxy '' -H 'Host: reviews:9080' http://127.0.0.1:15001/reviews/0",
		Version: version.Get().String(),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Logger, err = shared.Check(cmd); err != nil {
				return err
			}
			for _, s := range inbound {
				in, err := sidecar.ParseInbound(s)
				if err != nil {
					return start.Misusef("--inbound: %w", err)
				}
				o.Inbound = append(o.Inbound, in)
			}
			if err := checkAppMetrics(o.AppMetrics, shared.Metrics); err != nil {
				return err
			}
			if o.Outbound == "" && len(o.Inbound) == 0 {
				return start.Misusef("there is nothing to listen on: give --outbound or --inbound")
			}
			o.Source = start.WithMesh(start.Files(shared.Config), shared.MeshConfig)
			o.NewCompiler = start.Istio(istio.Options{Role: istio.Sidecar, Labels: o.Labels, Namespace: shared.Namespace, Locality: shared.Locality})
			o.Config, o.Namespace = shared.Config, shared.Namespace
			o.AdminProfiles, o.LogLevel = shared.AdminProfiles, &shared.LogLevel
			o.Admin, o.AdminRemote, o.Status, o.Metrics = shared.Admin, shared.AdminRemote, shared.Status, shared.Metrics
			o.Peers = shared.Peers()
			o.TLS.MeshDir, o.TLS.TicketKeys = shared.MeshCertificates, shared.TicketKeys
			o.ResolvConf = shared.ResolvConf
			o.AccessLog, o.AccessLogFormat, o.AccessLogJSON = shared.AccessLog, shared.AccessLogFormat, shared.AccessLogJSON()
			o.ReopenLogs = start.ReopenSignal()
			o.Drain, o.LameDuck, o.Limits = shared.Drain, shared.LameDuck, shared.Limits
			o.Identity = shared.Identity("sidecar", o.Labels)
			o.Buckets = shared.Buckets
			start.Process()
			return sidecar.Run(cmd.Context(), o)
		},
	}
	shared.Add(cmd)
	flags := cmd.Flags()
	flags.StringToStringVar(&o.Labels, "workload-labels", nil, "labels of the workload, such as app=productpage,version=v1")
	flags.StringVar(&o.Outbound, "outbound", "127.0.0.1:15001", "address for the workload's own calls, by their Host; empty for none")
	flags.StringArrayVar(&inbound, "inbound", nil, "listener for calls to the workload, and the workload's own address: 0.0.0.0:9080=127.0.0.1:19080 (repeatable)")
	flags.StringArrayVar(&o.AppMetrics, "app-metrics", nil, "URL of the application's own metrics, such as http://127.0.0.1:9090/metrics, which --metrics shows with the sidecar's (repeatable)")
	return cmd
}

// checkAppMetrics reports what makes no sense of --app-metrics.
func checkAppMetrics(targets []string, metrics string) error {
	for _, target := range targets {
		if err := merge.CheckTarget(target); err != nil {
			return start.Misusef("--app-metrics: %w", err)
		}
	}
	if len(targets) > 0 && metrics == "" {
		return start.Misusef("--app-metrics has nowhere to be shown: give --metrics too, such as 0.0.0.0:15020")
	}
	return nil
}
