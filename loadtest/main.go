// Command loadtest measures the gateway next to its peers, and next to itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/loadtest/backend"
	"github.com/sluicegate/sluice/loadtest/work"
)

// misuse is an error in what was typed.
type misuse struct{ error }

func misusef(format string, args ...any) error { return misuse{fmt.Errorf(format, args...)} }

func main() {
	if len(os.Args) > 1 && backend.Commands[os.Args[1]] != nil { // started by the test itself
		if err := backend.Commands[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:]))
}

// execute runs a command line and returns the exit status: 1 where it failed, 2 where it makes
// no sense.
func execute(ctx context.Context, args []string) int {
	started := false
	root := &cobra.Command{
		Use:               "loadtest",
		Short:             "Measure the gateway next to nginx, HAProxy, Caddy, Traefik and Envoy, or a change next to what was before it",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { started = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(newRun(), newCompare(), newProfile(), newPage(), newList())
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case started && !errors.As(err, new(misuse)):
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "Error: %v\nTry '%s --help'.\n", err, cmd.CommandPath())
	return 2
}

func newList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the works", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			for _, w := range work.All() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s\n", w.Name, w.Title)
			}
		},
	}
}

// titles are those of works by name.
func titles(works []work.Work) map[string]string {
	m := make(map[string]string, len(works))
	for _, w := range works {
		m[w.Name] = w.Title
	}
	return m
}

// workNames are for the shell's completion.
var workNames = completion(func() (names []string) {
	for _, w := range work.All() {
		names = append(names, w.Name)
	}
	return names
}())

// completion completes names in a list with commas.
func completion(names []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) (all []string, _ cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		for _, name := range names {
			if !slices.Contains(strings.Split(before, ","), name) {
				all = append(all, before+name)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}
