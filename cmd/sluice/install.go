package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/deploy"
	"github.com/sluicegate/sluice/deploy/install"
)

// installOptions are the flags of sluice install.
type installOptions struct {
	choice
	clusterFlags
	wait    bool
	timeout time.Duration
}

func newInstallCommand() *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the gateway on Kubernetes, or bring it to what is asked for",
		Long: `Install the gateway on Kubernetes: the definitions of Istio's API, then what
sluice manifest generate prints. It can be repeated: what is as it should be stays
untouched, what the new values do not have any more goes, and pods are replaced without
a request lost.`,
		Example: `  sluice install
  sluice install --profile demo
  sluice install --set service.type=NodePort --set flags.access-log=-`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := o.plan()
			if err != nil {
				return err
			}
			c, err := o.connect(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			return o.run(ctx, cmd, c, p)
		},
	}
	o.choice.add(cmd)
	o.clusterFlags.add(cmd)
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until the gateway's pods are ready")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long all of it may take")
	return cmd
}

func (o *installOptions) run(ctx context.Context, cmd *cobra.Command, c *install.Cluster, p plan) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "The profile %s, into the namespace %s of %s\n", o.Profile, p.namespace, c.Host)
	exists, err := c.NamespaceExists(ctx, p.namespace)
	if err != nil {
		return err
	}
	if !exists {
		if err := c.Apply(ctx, []map[string]any{install.Namespace(p.namespace)}); err != nil {
			return err
		}
	}
	if err := c.Apply(ctx, p.definitions); err != nil {
		return err
	}
	if err := c.Wait(ctx, p.definitions); err != nil {
		return err
	}
	objects := p.objects()
	if err := c.Apply(ctx, objects); err != nil {
		return err
	}
	installed, err := c.Installed(ctx, p.release())
	if err != nil {
		return err
	}
	if err := c.Remove(ctx, install.Surplus(installed, objects)); err != nil {
		return err
	}
	if o.dryRun || !o.wait {
		return nil
	}
	if err := c.Wait(ctx, objects); err != nil {
		return err
	}
	fmt.Fprintf(out, "The gateway serves. Its addresses: kubectl -n %s get service %s\n", p.namespace, p.name())
	return nil
}

// name returns that of the gateway.
func (p plan) name() string {
	for _, o := range p.objects() {
		if kind := o["kind"]; kind == "Deployment" || kind == "DaemonSet" {
			return o["metadata"].(map[string]any)["name"].(string)
		}
	}
	return ""
}

func (p plan) release() string { return deploy.ReleaseName(p.namespace, p.name()) }
