// Command sluice is what a person types: it checks configuration (validate), says
// where a request would go and why (explain), shows what a proxy serves
// (proxy-config) and runs the demonstration (demo).
//
// One file holds one verb. The package owns words, flags and output; it must not
// know how configuration is compiled or requests are routed: config/istio and
// router do, and the gateway and the sidecar run the same code.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit statuses, the same for every verb.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for has errors, or could not be done
	exitMisuse = 2 // the command line makes no sense
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root, started := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed):
		return exitFailed
	}
	fmt.Fprintf(stderr, "Error: %v\n", err)
	if *started && !errors.As(err, new(misuse)) {
		return exitFailed
	}
	fmt.Fprintf(stderr, "Try '%s --help'.\n", cmd.CommandPath())
	return exitMisuse
}

// errFailed ends a verb whose output already says what is wrong.
var errFailed = errors.New("failed")

// misuse is an error in what was typed, as against one in what was asked for.
type misuse struct{ error }

func misusef(format string, args ...any) error {
	return misuse{fmt.Errorf(format, args...)}
}

// newRootCommand returns the command tree, and whether a verb was reached: what
// goes wrong before that is a misuse.
func newRootCommand() (root *cobra.Command, started *bool) {
	started = new(bool)
	root = &cobra.Command{
		Use:           "sluice",
		Short:         "Istio's traffic API without Envoy or istiod: check it, explain it, try it",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			*started = true
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newDemoCommand(),
		newValidateCommand(),
		newExplainCommand(),
		newProxyConfigCommand(),
		newVersionCommand(),
	)
	return root, started
}
