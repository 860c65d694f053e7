// Command sluice is what a person types: it checks configuration (validate), says
// where a request would go and why (explain) and why one failed (why), shows what a proxy
// serves (proxy-config) and what passes through it (tap, top, dashboard), says in Istio's API what Ingresses say (convert), runs the
// demonstration (demo) and installs the gateway on Kubernetes (install, uninstall,
// manifest, profile).
//
// One file holds one verb. The package owns words, flags and output; it must not
// know how configuration is compiled or requests are routed: config/istio and
// router do, and the gateway and the sidecar run the same code.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/cmd/internal/start"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit status: 0 for done, 1 where what
// was asked for has errors or could not be done, 2 where the command line makes no sense.
func run(args []string, stdout, stderr io.Writer) int {
	return start.Execute(newRootCommand(), args, stdout, stderr)
}

// misusef returns an error in what was typed, as against one in what was asked for.
func misusef(format string, args ...any) error { return start.Misusef(format, args...) }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Istio's traffic API without Envoy or istiod: check it, explain it, try it",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newDemoCommand(),
		newValidateCommand(),
		newExplainCommand(),
		newWhyCommand(),
		newTapCommand(),
		newTopCommand(),
		newDashboardCommand(),
		newConvertCommand(),
		newProxyConfigCommand(),
		newInstallCommand(),
		newUninstallCommand(),
		newManifestCommand(),
		newProfileCommand(),
		newVersionCommand(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.RunE = help
		case "completion":
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// help shows what a verb does. What is no verb is an error, to cobra it is not.
func help(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	switch {
	case err != nil:
		return misusef("%w", err)
	case len(rest) > 0:
		return misusef("%q is no command of %q", rest[0], about.CommandPath())
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}
