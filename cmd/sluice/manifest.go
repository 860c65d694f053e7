package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/deploy/crds"
	"github.com/sluicegate/sluice/deploy/install"
)

func newManifestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "Print what installs the gateway on Kubernetes",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newManifestGenerateCommand(), newManifestDefinitionsCommand())
	return cmd
}

func newManifestDefinitionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "crds",
		Short:   "Print the definitions of Istio's API, for kubectl apply",
		Long:    "Print the definitions of Istio's API as YAML, and nothing else. They are too big for kubectl apply without --server-side.",
		Example: "  sluice manifest crds | kubectl apply --server-side -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			definitions, err := crds.Objects()
			if err != nil {
				return err
			}
			return printObjects(cmd, definitions)
		},
	}
}

// printObjects prints objects as YAML.
func printObjects(cmd *cobra.Command, objects []map[string]any) error {
	var b strings.Builder
	for _, object := range objects {
		text, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		b.WriteString("---\n" + string(text))
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

func newManifestGenerateCommand() *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Print the gateway's objects, for kubectl apply",
		Long: `Print the gateway's objects as YAML: its namespace, the definitions of Istio's API, and
what the chart makes of the profile and the values.`,
		Example: `  sluice manifest generate | kubectl apply --server-side -f -
  sluice manifest generate --profile demo --set service.ports[0].nodePort=30080 --crds=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.plan()
			if err != nil {
				return err
			}
			if err := printObjects(cmd, append([]map[string]any{install.Namespace(p.namespace)}, p.definitions...)); err != nil {
				return err
			}
			var b strings.Builder
			for _, m := range p.manifests {
				b.WriteString("---\n" + m.Text)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), b.String())
			return err
		},
	}
	c.add(cmd)
	return cmd
}
