package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
)

func newValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [-f PATH]... [PATH...]",
		Short: "Check configuration, each object and all of them together",
		Long: `Check Istio and Kubernetes objects in files, in folders or from standard input (-).

Each object is checked by itself, as Istio's validator would. Then all of them are
compiled as a gateway and as sidecars would, which shows what is wrong between
objects: gateways, subsets and hosts that are not there, rules that nothing can
reach, servers in each other's way.

It exits 0 if there are no errors (there may be warnings), 1 if there are.`,
		Example: `  sluice validate -f ./config
  kubectl get gateways,virtualservices,destinationrules -A -o yaml | sluice validate -f -
  sluice validate -o json virtualservice.yaml`,
	}
	var files []string
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "check this `PATH`: a file, a folder, or - for standard input (repeatable)")
	var classes []string
	addClassFlag(cmd, &classes)
	f := addFormatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		paths := append(files, args...)
		if len(paths) == 0 {
			return misusef("name a file, a folder, or - for standard input")
		}
		src, err := readSource(paths)
		if err != nil {
			return err
		}
		src.ingresses.Classes = append([]string{ingress.DefaultClass}, classes...)
		report := newValidation(src)
		if *f == formatText {
			report.writeText(legible(cmd.OutOrStdout()))
		} else if err := f.encode(cmd.OutOrStdout(), report); err != nil {
			return err
		}
		if report.Errors > 0 {
			return start.ErrReported
		}
		return nil
	}
	return cmd
}

// validation is what `sluice validate -o json` prints.
type validation struct {
	Conditions []finding `json:"conditions"`
	Objects    int       `json:"objects"`
	Errors     int       `json:"errors"`
	Warnings   int       `json:"warnings"`
}

// finding is a condition with the object it is about spelt out.
type finding struct {
	Severity  config.Severity `json:"severity"`
	Reason    config.Reason   `json:"reason"`
	Kind      string          `json:"kind"`
	Namespace string          `json:"namespace,omitempty"`
	Name      string          `json:"name"`
	Field     string          `json:"field,omitempty"`
	Message   string          `json:"message"`
	File      string          `json:"file,omitempty"`
	Line      int             `json:"line,omitempty"`
}

// newValidation collects everything that is wrong with the objects, by themselves
// and together, in the order of the files.
func newValidation(src source) validation {
	v := validation{Conditions: []finding{}, Objects: len(src.objects)}
	for _, c := range mergeConditions(src.allConditions()) {
		switch c.Severity {
		case config.Error:
			v.Errors++
		case config.Warning:
			v.Warnings++
		}
		v.Conditions = append(v.Conditions, finding{
			c.Severity, c.Reason, c.Object.Kind, c.Object.Namespace, c.Object.Name, c.Field, c.Message, c.File, c.Line,
		})
	}
	return v
}

// mergeConditions sorts conditions by place and drops what several views agree on.
func mergeConditions(conditions []config.Condition) []config.Condition {
	slices.SortStableFunc(conditions, func(a, b config.Condition) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			strings.Compare(a.Object.String(), b.Object.String()),
			strings.Compare(a.Field, b.Field), strings.Compare(string(a.Reason), string(b.Reason)),
			strings.Compare(a.Message, b.Message), strings.Compare(string(a.Severity), string(b.Severity)),
		)
	})
	return slices.Compact(conditions)
}

// writeText prints the findings for people: a line that says where, aligned, and
// one below that says what.
func (v validation) writeText(w io.Writer) {
	p := newPainter(w)
	heads := make([][]cell, len(v.Conditions))
	for i, c := range v.Conditions {
		heads[i] = []cell{
			{string(c.Severity), severityInk(c.Severity)},
			{c.place(), inkBold},
			{text: c.object()},
			{text: c.Field},
		}
	}
	var lines strings.Builder
	writeTable(&lines, p, "", heads)
	i := 0
	for line := range strings.Lines(lines.String()) {
		c := v.Conditions[i]
		fmt.Fprintf(w, "%s         %s %s\n", line, visible(c.Message), p.paint(inkDim, "["+string(c.Reason)+"]"))
		i++
	}
	if i > 0 {
		fmt.Fprintln(w)
	}
	verdict, colour := "no errors", inkGreen
	if v.Errors > 0 {
		verdict, colour = count(v.Errors, "error"), inkRed
	}
	fmt.Fprintf(w, "%s: %s, %s\n", count(v.Objects, "object"), p.paint(colour, verdict), count(v.Warnings, "warning"))
}

func severityInk(s config.Severity) ink {
	switch s {
	case config.Error:
		return inkRed
	case config.Warning:
		return inkYellow
	}
	return inkDim
}

// place returns "file:line".
func (f finding) place() string {
	if f.Line == 0 {
		return f.File
	}
	return f.File + ":" + strconv.Itoa(f.Line)
}

func (f finding) object() string {
	if f.Kind == "File" || f.Kind == "Folder" {
		return f.Kind
	}
	return config.Key{Kind: f.Kind, Namespace: f.Namespace, Name: f.Name}.String()
}
