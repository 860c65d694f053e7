package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/version"
)

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
	}
	f := addFormatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		info := version.Get()
		if *f != formatText {
			return f.encode(cmd.OutOrStdout(), info)
		}
		build := info.Go + ", " + info.Platform
		if info.Commit != "" {
			build = info.Commit + ", " + build
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "sluice %s (%s)\n", info.Version, build)
		return err
	}
	return cmd
}
