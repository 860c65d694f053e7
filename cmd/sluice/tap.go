package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/telemetry/recent"
)

// tapFlags say which requests are wanted, under the names of the admin server's parameters.
type tapFlags struct {
	lists map[string]*[]string
	texts map[string]*string
	every uint64
	count uint64
	while time.Duration
}

// tapLists are the filters of which several may be given, tapTexts the others, with a flag's
// word for the value.
var (
	tapLists = []string{"method", "host", "listener", "status", "flag", "route", "cluster", "header"}
	tapTexts = []string{"path", "path-regex", "min-duration"}
)

func newTapCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tap",
		Short: "Show requests of a proxy as they end",
		Long: `Show requests of a proxy as they end, until Ctrl-C, --count or --duration.

Filters narrow what is shown. Of several values of one filter one must hold, and all filters
must. The proxy filters, so that what is not wanted costs nothing; where it sends more than is
taken, the rest is dropped, and counted. What could let somebody in is redacted.`,
		Example: `  sluice tap
  sluice tap --status 5xx --status 404
  sluice tap --host bookinfo.example.com --path /api/ --min-duration 250ms
  sluice tap --flag UH --count 1 -o json
  sluice tap --every 100 --duration 1m`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := tapFlags{lists: map[string]*[]string{}, texts: map[string]*string{}}
	address := addAdminFlag(cmd)
	out := addLineFormatFlag(cmd)
	flags := cmd.Flags()
	for _, name := range tapLists {
		f.lists[name] = flags.StringArray(name, nil, "only "+recent.FilterParameters[name]+" (repeatable)")
	}
	for _, name := range tapTexts {
		f.texts[name] = flags.String(name, "", "only "+recent.FilterParameters[name])
	}
	flags.Uint64Var(&f.every, "every", 1, "take one of so many")
	flags.Uint64Var(&f.count, "count", 0, "end after so many; 0 for no end")
	flags.DurationVar(&f.while, "duration", 0, "end after so long; 0 for no end")
	completions := map[string][]string{
		"method": {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}, "status": {"2xx", "3xx", "4xx", "5xx", "404", "503"},
		"flag": {"*", "-", "NR", "NC", "UH", "UF", "UC", "UT", "UO", "URX", "DC", "DPE"},
	}
	for name, values := range completions {
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query, err := f.query()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return tap(ctx, *address, query, *out, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// noArguments refuses arguments.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misusef("%q: nothing is expected here", args[0])
	}
	return nil
}

// query is what the admin server is asked.
func (f *tapFlags) query() (string, error) {
	q := url.Values{}
	for name, list := range f.lists {
		if len(*list) > 0 {
			q[name] = *list
		}
	}
	for name, text := range f.texts {
		if *text != "" {
			q.Set(name, *text)
		}
	}
	if f.every != 1 {
		q.Set("every", strconv.FormatUint(f.every, 10))
	}
	if _, err := recent.ParseFilter(q); err != nil {
		return "", misusef("--%s", err)
	}
	if f.count > 0 {
		q.Set("count", strconv.FormatUint(f.count, 10))
	}
	switch {
	case f.while < 0:
		return "", misusef("--duration %s: must not be negative", f.while)
	case f.while > 0:
		q.Set("duration", f.while.String())
	}
	return q.Encode(), nil
}

// tap prints what the admin server streams, until it or ctx ends.
func tap(ctx context.Context, address, query string, out format, w, notes io.Writer) error {
	resp, err := askAdmin(ctx, address, "/tap?"+query)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return orMisuse(err)
	}
	defer resp.Body.Close()
	p := newPainter(w)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := printTapped(lines.Bytes(), out, p, w, notes); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the tap of %s broke: %w", address, err)
	}
	return nil
}

// printTapped prints a line of a tap: a request, or how many were dropped.
func printTapped(line []byte, out format, p painter, w, notes io.Writer) error {
	var both struct {
		recent.Summary
		admin.Dropped
	}
	if err := json.Unmarshal(line, &both); err != nil {
		return fmt.Errorf("what the tap sends is not what a Sluice admin server sends: %w", err)
	}
	if n := both.Dropped.Dropped; n > 0 {
		fmt.Fprintf(notes, "%s dropped: more came than were taken; narrow the filter, or take one of many with --every\n", count(int(n), "request"))
		return nil
	}
	if out == formatJSON {
		_, err := w.Write(append(line, '\n'))
		return err
	}
	_, err := fmt.Fprintln(legible(w), tapLine(&both.Summary, p))
	return err
}

// tapLine is a request in a line.
func tapLine(s *recent.Summary, p painter) string {
	parts := []string{
		p.paint(inkDim, s.Time.Local().Format("15:04:05.000")),
		p.paint(statusInk(s.Status), fmt.Sprintf("%3d", s.Status)),
		fmt.Sprintf("%8s", milliseconds(s.Duration)),
		s.Method, s.Authority + s.Path,
	}
	if s.Flags != "" {
		parts = append(parts, p.paint(inkRed, s.Flags+" "+s.Details))
	}
	if s.GRPCStatus != "" {
		parts = append(parts, "grpc-status "+s.GRPCStatus)
	}
	if to := cmp.Or(s.UpstreamHost, s.Cluster); to != "" {
		parts = append(parts, "-> "+to)
	}
	if s.Cluster != "" && s.UpstreamHost != "" {
		parts = append(parts, p.paint(inkDim, "("+s.Cluster+")"))
	}
	return strings.Join(parts, " ")
}
