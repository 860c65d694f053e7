package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluicegate/sluice/admin"
)

// topOptions are the flags of sluice top.
type topOptions struct {
	admin    string
	sort     string
	interval time.Duration
	once     bool
	format   format
}

func newTopCommand() *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show a proxy's routes by rate, errors and latency, live",
		Long: `Show a proxy's routes, each with each of its destinations, by the requests of the last
interval: rate, share of 4xx and of errors (5xx, or no answer), median and 99th percentile
of the time that they took.

On a terminal it is a live table: r, e, l and n sort by rate, errors, latency and name, q
ends. Elsewhere it prints a table every interval, and with --once one table.`,
		Example: `  sluice top
  sluice top --sort latency --admin 127.0.0.1:15005
  sluice top --once --interval 5s -o json`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	address := addAdminFlag(cmd)
	out := addLineFormatFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.sort, "sort", sortRate, "by `WHAT` to sort: "+strings.Join(topSorts, ", "))
	flags.DurationVar(&o.interval, "interval", time.Second, "how long an interval is")
	flags.BoolVar(&o.once, "once", false, "print one table, of one interval")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(topSorts, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.admin, o.format = *address, *out
		switch {
		case !slices.Contains(topSorts, o.sort):
			return misusef("--sort %q: must be one of %s", o.sort, strings.Join(topSorts, ", "))
		case o.interval < 100*time.Millisecond:
			return misusef("--interval %s: must be at least 100ms", o.interval)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if f, ok := cmd.OutOrStdout().(*os.File); ok && !o.once && o.format == formatText && term.IsTerminal(int(f.Fd())) {
			return runTopScreen(ctx, o, f)
		}
		return printTop(ctx, o, cmd.OutOrStdout())
	}
	return cmd
}

// look asks the proxy for its counts.
func (o *topOptions) look(ctx context.Context) (*admin.RouteStats, error) {
	var stats admin.RouteStats
	if err := getAdmin(ctx, o.admin, "/stats/routes", &stats); err != nil {
		return nil, err
	}
	return &stats, nil
}

// printTop prints a table every interval, or one.
func printTop(ctx context.Context, o topOptions, w io.Writer) error {
	before, err := o.look(ctx)
	if err != nil {
		return err
	}
	p := newPainter(w)
	ticks := time.NewTicker(o.interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		now, err := o.look(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		rows := topRows(before, now, o.sort)
		if o.format == formatJSON {
			if err := json.NewEncoder(w).Encode(rows); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(w, "%s  %s\n", now.Time.Local().Format(time.TimeOnly), topTotal(rows))
			writeTable(w, p, "", topTable(rows, 0))
		}
		if o.once {
			return nil
		}
		if before = now; o.format == formatText {
			fmt.Fprintln(w)
		}
	}
}
