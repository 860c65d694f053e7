package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
				if _, unknown := work.Named(strings.Split(only, ",")); limited && len(unknown) > 0 {
					return misusef("%s: no such work: %q; see loadtest list", arg, unknown)
				}
				found, err := readResults(file)
				if err != nil {
					return err
				}
				if limited {
					wanted := strings.Split(only, ",")
					found.Records = slices.DeleteFunc(found.Records, func(r report.Record) bool { return !slices.Contains(wanted, r.Work) })
				}
				if len(found.Records) == 0 {
					return fmt.Errorf("%s has nothing of %s", file, only)
				}
				if !slices.ContainsFunc(found.Records, func(r report.Record) bool { return r.Peer == "sluice" }) {
					return fmt.Errorf("%s has nothing of the gateway itself", file)
				}
				all = append(all, found)
			}
			names := titles(work.All())
			summary, text := joined(all, names)
			page, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			if page, err = insert(page, text); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			images := filepath.Join(filepath.Dir(args[0]), "images")
			if err := os.MkdirAll(images, 0o755); err != nil {
				return err
			}
			if _, err := summary.Plots(images, names); err != nil {
				return err
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
	text.WriteString(headers(slices.DeleteFunc(all, func(found *results) bool {
		return !slices.ContainsFunc(found.Records, func(r report.Record) bool { return last[r.Work] == found })
	})))
	summary := report.Summarise(records, "sluice")
	text.WriteString(summary.Markdown(names))
	return summary, text.String()
}

// headers says when, where and how figures came about: of those that came about in the same way,
// once, from when to when.
func headers(all []*results) string {
	var conditions []string
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for _, found := range all {
		c := found.conditions()
		if _, ok := first[c]; !ok {
			conditions = append(conditions, c)
			first[c], last[c] = found.When, found.When
		}
		if found.When.Before(first[c]) {
			first[c] = found.When
		}
		if found.When.After(last[c]) {
			last[c] = found.When
		}
	}
	var text strings.Builder
	for _, c := range conditions {
		text.WriteString(first[c].Format(minute))
		if last[c].After(first[c]) {
			text.WriteString(" to " + last[c].Format(minute))
		}
		text.WriteString(". " + c + "\n\n")
	}
	return text.String()
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
