package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/telemetry/recent"
)

func newWhyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why [REQUEST_ID] [--last STATUS]",
		Short: "Say why a request failed, and what to change",
		Long: `Say why a request failed: the rule that took it or came nearest, the state of its
endpoints then, and what to change, in which object, field, file and line.

A proxy remembers its latest failures of each kind. REQUEST_ID is the x-request-id of one,
as the access log and the response to the client have it; --last takes the latest with a
status (404), a class (5xx), a range (500-504) or a response flag (UH). Without either it is
the latest of all. --list shows which there are.`,
		Example: `  sluice why
  sluice why --last 404
  sluice why 7c2ad5a1-8c1f-4be2-a0f5-6e0bb3b7ae10 --admin 127.0.0.1:15005
  sluice why --list --last 5xx`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misusef("name one request")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	address := addAdminFlag(cmd)
	out := addFormatFlag(cmd)
	last := cmd.Flags().String("last", "", "the latest with this `STATUS`, class (5xx), range or response flag")
	list := cmd.Flags().Bool("list", false, "list the failures that are remembered")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("last", cobra.FixedCompletions([]string{"404", "4xx", "5xx", "503", "504", "NR", "NC", "UH", "UF", "UO", "UT", "DC", "DPE"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := ""
		if *last != "" {
			query = "?" + url.Values{"last": {*last}}.Encode()
		}
		switch {
		case len(args) == 1 && (*last != "" || *list):
			return misusef("a request by its id is one: leave --last and --list out")
		case *list:
			return listFailures(cmd, *address, query, *out)
		}
		path := "/why" + query
		if len(args) == 1 {
			path = "/why/" + url.PathEscape(args[0])
		}
		var answer admin.Why
		if err := getAdmin(cmd.Context(), *address, path, &answer); err != nil {
			return orMisuse(err)
		}
		if *out != formatText {
			return out.encode(cmd.OutOrStdout(), answer)
		}
		writeWhy(legible(cmd.OutOrStdout()), &answer)
		return nil
	}
	return cmd
}

// orMisuse makes an error that the admin server blames on the question one in what was typed.
func orMisuse(err error) error {
	var refused *adminError
	if errors.As(err, &refused) && refused.status == http.StatusBadRequest {
		return misusef("%s", refused.detail)
	}
	return err
}

// listFailures prints the failures that are remembered, the latest first.
func listFailures(cmd *cobra.Command, address, query string, out format) error {
	var list admin.Failures
	if err := getAdmin(cmd.Context(), address, "/failures"+query, &list); err != nil {
		return orMisuse(err)
	}
	w := cmd.OutOrStdout()
	if out != formatText {
		return out.encode(w, list)
	}
	p := newPainter(w)
	rows := [][]cell{plain("TIME", "STATUS", "FLAGS", "REQUEST", "DETAILS", "ID")}
	for i := range list.Requests {
		s := &list.Requests[i]
		rows = append(rows, []cell{
			{text: s.Time.Local().Format(time.TimeOnly)}, {fmt.Sprint(s.Status), statusInk(s.Status)}, {text: orDash(s.Flags)},
			{text: s.Method + " " + s.Authority + s.Path}, {text: orDash(cmp.Or(s.Details, s.Termination))}, {text: orDash(s.ID)},
		})
	}
	writeTable(w, p, "", rows)
	if list.Skipped > 0 {
		fmt.Fprintf(w, "%d of %d failures came too fast to be kept\n", list.Skipped, list.Failed)
	}
	return nil
}

// statusInk is the colour of a status.
func statusInk(status int) ink {
	switch {
	case status >= 500 || status == 0:
		return inkRed
	case status >= 400:
		return inkYellow
	}
	return inkGreen
}

// writeWhy prints an answer for people. It ends with the fix.
func writeWhy(w io.Writer, a *admin.Why) {
	p := newPainter(w)
	s := &a.Request
	fmt.Fprintf(w, "%s\n=> %s\n", requestLine(s), p.paint(statusInk(s.Status), a.Outcome))
	fmt.Fprintf(w, "\n%s\n  %s\n", p.paint(inkBold, "Why"), a.Cause)
	for _, fact := range a.Facts {
		fmt.Fprintf(w, "  - %s\n", fact)
	}
	if rows := whyRows(s); len(rows) > 0 {
		fmt.Fprintln(w)
		writeTable(w, p, "", rows)
	}
	if len(a.Conditions) > 0 {
		fmt.Fprintf(w, "\n%s\n", p.paint(inkBold, "Defects of the configuration that have to do with it"))
		for _, c := range a.Conditions {
			fmt.Fprintf(w, "  %s %s %s\n", c.Severity, c.Reason, conditionLine(c))
		}
	}
	fmt.Fprintf(w, "\n%s\n", p.paint(inkBold, "Fix"))
	if place := a.Fix.Place(); place != "" {
		fmt.Fprintf(w, "  %s\n", place)
	}
	fmt.Fprintf(w, "  %s\n", p.paint(inkYellow, a.Fix.Text))
}

// conditionLine is a condition with its object, which the JSON has beside it.
func conditionLine(c admin.Condition) string {
	line := c.Condition
	line.Object.Kind, line.Object.Namespace, line.Object.Name = c.Kind, c.Namespace, c.Name
	return line.String()
}

// requestLine names a request that has ended.
func requestLine(s *recent.Summary) string {
	line := "connection to " + s.Authority
	if s.Method != "" {
		line = fmt.Sprintf("%s %s://%s%s", s.Method, cmp.Or(s.Scheme, "http"), s.Authority, s.Path)
	}
	line += " at " + s.Time.Local().Format(time.TimeOnly)
	if s.ID != "" {
		line += ", request " + s.ID
	}
	return line
}

// whyRows are what is known of how far the request got.
func whyRows(s *recent.Summary) (rows [][]cell) {
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []cell{{name, inkBold}, {text: value}})
		}
	}
	add("Client", s.Client)
	add("Listener", s.Listener)
	add("Virtual host", s.VirtualHost)
	if s.Rule.Kind != "" {
		add("Route", strings.TrimSpace(s.Route+"  "+s.Rule.String()))
	}
	add("Destination", s.Cluster)
	add("Endpoint", s.UpstreamHost)
	add("Details", s.Details)
	took := milliseconds(s.Duration)
	if s.UpstreamDuration > 0 {
		took += ", of which the endpoint " + milliseconds(s.UpstreamDuration)
	}
	add("Took", took)
	return rows
}

// milliseconds writes a duration as people do.
func milliseconds(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	if d >= 100*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
