package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/work"
)

// What stands between these lines of a page is written anew.
const (
	pageBegin = "<!-- figures: written by loadtest page -->\n"
	pageEnd   = "<!-- end of figures -->\n"
)

func newPage() *cobra.Command {
	return &cobra.Command{
		Use:     "page FILE RESULTS[:WORK,...]...",
		Short:   "Put saved results into a page",
		Long:    "Writes the tables of one or more results.json between the marks of a page, and the plots beside it, in images. Of a work that several have, the last counts. Works behind a colon are taken, and no others.",
		Example: "  go run . page ../docs/performance.md results/results.json again/results.json:tls-1k",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return misusef("a page and results are needed: page FILE RESULTS...")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			var all []*results
			for _, arg := range args[1:] {
				file, only, limited := strings.Cut(arg, ":")
				found, err := readResults(file)
				if err != nil {
					return err
				}
				if limited {
					wanted := strings.Split(only, ",")
					found.Records = slices.DeleteFunc(found.Records, func(r report.Record) bool { return !slices.Contains(wanted, r.Work) })
				}
				all = append(all, found)
			}
			names := titles(work.All())
			summary, text := joined(all, names)
			if _, err := summary.Plots(filepath.Join(filepath.Dir(args[0]), "images"), names); err != nil {
				return err
			}
			page, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			if page, err = insert(page, text); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return os.WriteFile(args[0], page, 0o644)
		},
	}
}

// joined puts several results together.
func joined(all []*results, names map[string]string) (*report.Summary, string) {
	last := map[string]*results{}
	for _, found := range all {
		for _, r := range found.Records {
			last[r.Work] = found
		}
	}
	var records []report.Record
	for _, w := range work.All() {
		if last[w.Name] == nil {
			continue
		}
		for _, r := range last[w.Name].Records {
			if r.Work == w.Name {
				records = append(records, r)
			}
		}
	}
	var text strings.Builder
	for _, found := range all {
		text.WriteString(found.header())
	}
	summary := report.Summarise(records, "sluice")
	text.WriteString(summary.Markdown(names))
	return summary, text.String()
}

// insert replaces what stands between a page's marks.
func insert(page []byte, text string) ([]byte, error) {
	before, rest, ok := strings.Cut(string(page), pageBegin)
	_, after, ends := strings.Cut(rest, pageEnd)
	if !ok || !ends {
		return nil, errors.New("it has no place for figures: put " + strings.TrimSpace(pageBegin) + " and " + strings.TrimSpace(pageEnd) + " on lines of their own")
	}
	return []byte(before + pageBegin + "\n" + strings.TrimSpace(text) + "\n\n" + pageEnd + after), nil
}
