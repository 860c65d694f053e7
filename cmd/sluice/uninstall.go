package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/deploy"
	"github.com/sluicegate/sluice/deploy/crds"
	"github.com/sluicegate/sluice/deploy/install"
)

// uninstallOptions are the flags of sluice uninstall.
type uninstallOptions struct {
	clusterFlags
	namespace, name string
	crds, yes       bool
	timeout         time.Duration
}

func newUninstallCommand() *cobra.Command {
	var o uninstallOptions
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove what sluice install has put into a cluster",
		Long: `Remove what sluice install has made of a gateway. The namespace stays, and so do the
definitions of Istio's API, with which all Gateways and VirtualServices would go: --crds
removes them too, after a question.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.connect(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			return o.run(ctx, c, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	o.clusterFlags.add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "istio-system", "namespace of the gateway")
	flags.StringVar(&o.name, "name", "istio-ingressgateway", "name of the gateway")
	flags.BoolVar(&o.crds, "crds", false, "the definitions of Istio's API too, and with them every object of it")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long all of it may take, answers included")
	return cmd
}

func (o *uninstallOptions) run(ctx context.Context, c *install.Cluster, in io.Reader, out io.Writer) error {
	release := deploy.ReleaseName(o.namespace, o.name)
	installed, err := c.Installed(ctx, release)
	if err != nil {
		return err
	}
	if len(installed) == 0 {
		others, err := c.Releases(ctx)
		if err != nil {
			return err
		}
		known := "there is none that sluice install has made"
		if len(others) > 0 {
			known = "there are " + strings.Join(others, ", ")
		}
		if !o.crds {
			return fmt.Errorf("the cluster %s has no gateway %s/%s; %s (as NAMESPACE.NAME: --namespace and --name choose one)", c.Host, o.namespace, o.name, known)
		}
		fmt.Fprintf(out, "There is no gateway %s/%s; %s\n", o.namespace, o.name, known)
	}
	if err := c.Remove(ctx, installed); err != nil {
		return err
	}
	if !o.crds {
		return nil
	}
	return o.removeDefinitions(ctx, c, in, out)
}

// removeDefinitions removes those of Istio's API, if that is what the user wants.
func (o *uninstallOptions) removeDefinitions(ctx context.Context, c *install.Cluster, in io.Reader, out io.Writer) error {
	all, err := crds.Objects()
	if err != nil {
		return err
	}
	definitions, objects, err := c.Definitions(ctx, all)
	if err != nil || len(definitions) == 0 {
		return err
	}
	if !o.yes && !o.dryRun {
		fmt.Fprintf(out, "Remove %d definitions of Istio's API, and with them %d objects of %s? [y/N] ", len(definitions), objects, c.Host)
		answer, err := bufio.NewReader(in).ReadString('\n')
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			fmt.Fprintln(out, "\nThe definitions stay.")
			if err != nil { // nobody was there to answer
				return fmt.Errorf("the definitions were to be removed, but nobody has answered: --yes does without the question")
			}
			return nil
		}
	}
	return c.Remove(ctx, definitions)
}
