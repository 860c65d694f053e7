package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/deploy"
)

func newProfileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Show the profiles that can be installed",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProfileListCommand(), newProfileDumpCommand())
	return cmd
}

func newProfileListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the profiles, and what each is for",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			for _, name := range deploy.Profiles() {
				text, err := deploy.Profile(name)
				if err != nil {
					return err
				}
				fmt.Fprintln(out, name)
				for line := range strings.Lines(text) {
					comment, ok := strings.CutPrefix(line, "# ")
					if !ok {
						break
					}
					fmt.Fprint(out, "  ", comment)
				}
			}
			return nil
		},
	}
}

func newProfileDumpCommand() *cobra.Command {
	var c choice
	var own bool
	cmd := &cobra.Command{
		Use:   "dump [PROFILE]",
		Short: "Print all values of a profile",
		Long:  "Print all values that the gateway is installed with: the chart's, those of the profile, and those given here.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.Profile = args[0]
			}
			if own {
				text, err := deploy.Profile(c.Profile)
				if err == nil {
					_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				}
				return err
			}
			_, values, err := deploy.Values(c.Choice)
			if err != nil {
				return err
			}
			text, err := yaml.Marshal(values)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
		ValidArgs: deploy.Profiles(),
	}
	c.addValues(cmd)
	cmd.Flags().BoolVar(&own, "own", false, "the profile's own values alone")
	return cmd
}
