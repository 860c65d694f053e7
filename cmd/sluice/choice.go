package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/deploy"
	"github.com/sluicegate/sluice/deploy/chart"
	"github.com/sluicegate/sluice/deploy/crds"
	"github.com/sluicegate/sluice/deploy/install"
)

// choice are the flags that say what is to be installed.
type choice struct {
	deploy.Choice
	namespace string
	crds      bool
}

func (c *choice) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	c.addValues(cmd)
	flags.StringVarP(&c.namespace, "namespace", "n", "istio-system", "namespace of the gateway")
	flags.BoolVar(&c.crds, "crds", true, "the definitions of Istio's API too")
}

// addValues declares those that choose values.
func (c *choice) addValues(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.Profile, "profile", deploy.DefaultProfile, "values to begin with: "+strings.Join(deploy.Profiles(), ", "))
	flags.StringArrayVarP(&c.Files, "values", "f", nil, "file of values, in YAML, that go before those of the profile (repeatable)")
	flags.StringArrayVar(&c.Sets, "set", nil, "a value that goes before all: service.type=NodePort (repeatable)")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(deploy.Profiles(), cobra.ShellCompDirectiveNoFileComp)))
}

// plan is what is installed, in its order.
type plan struct {
	namespace string
	// definitions are Istio's; none where they are not wanted.
	definitions []map[string]any
	manifests   []chart.Manifest
}

// plan works out what the flags ask for.
func (c *choice) plan() (p plan, err error) {
	p.namespace = c.namespace
	if !slices.Contains(deploy.Profiles(), c.Profile) {
		return p, misusef("--profile %q: must be one of %s", c.Profile, strings.Join(deploy.Profiles(), ", "))
	}
	if p.manifests, err = deploy.Render(c.namespace, c.Choice); err != nil {
		return p, err
	}
	if c.crds {
		if p.definitions, err = crds.Objects(); err != nil {
			return p, fmt.Errorf("%w; or --crds=false, where the cluster has them", err)
		}
	}
	return p, nil
}

// objects returns the gateway's own objects.
func (p plan) objects() []map[string]any {
	list := make([]map[string]any, len(p.manifests))
	for i, m := range p.manifests {
		list[i] = m.Object
	}
	return list
}

// clusterFlags say which cluster.
type clusterFlags struct {
	kubeconfig, context string
	dryRun              bool
}

func (f *clusterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "file that says where the cluster is (default: $KUBECONFIG, or kubectl's)")
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig (default: its current one)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "have the API server check everything, and change nothing")
}

func (f *clusterFlags) connect(cmd *cobra.Command) (*install.Cluster, error) {
	return install.Connect(install.Options{Kubeconfig: f.kubeconfig, Context: f.context, DryRun: f.dryRun, Out: cmd.OutOrStdout()})
}
