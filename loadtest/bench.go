package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/loadtest/measure"
	"github.com/sluicegate/sluice/loadtest/peer"
	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/run"
	"github.com/sluicegate/sluice/loadtest/work"
)

// settings are what the commands that put proxies to work have in common.
type settings struct {
	works     []string
	rounds    int
	duration  time.Duration
	out       string
	cache     string
	proxyCPUs string
	loadCPUs  string
}

func (s *settings) add(flags *pflag.FlagSet) {
	s.addWork(flags, nil)
	flags.IntVar(&s.rounds, "rounds", 5, "how often each proxy takes its turn")
	flags.StringVar(&s.out, "out", "results", "folder for results.json, results.md and the plots")
}

// addWork adds what says which works are done, and how; no works means all.
func (s *settings) addWork(flags *pflag.FlagSet, works []string) {
	flags.StringSliceVar(&s.works, "works", works, "works to do (see list); all where none is named")
	flags.DurationVar(&s.duration, "duration", 5*time.Second, "how long one measurement takes")
	flags.StringVar(&s.cache, "cache", defaultCache(), "folder for proxies that are built")
	flags.StringVar(&s.proxyCPUs, "proxy-cpus", "1", "processors of the proxy, as taskset takes them; empty for any")
	flags.StringVar(&s.loadCPUs, "load-cpus", "0", "processors of the backends; empty for any")
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "sluice-loadtest")
}

// chosen returns the works that are to be done, if what was typed makes sense.
func (s *settings) chosen() ([]work.Work, error) {
	works, unknown := work.Named(s.works)
	switch {
	case s.rounds < 1:
		return nil, misusef("--rounds %d: must be at least 1", s.rounds)
	case s.duration < 100*time.Millisecond:
		return nil, misusef("--duration %s: must be at least 100ms, or nothing is measured", s.duration)
	case len(unknown) > 0:
		return nil, misusef("no such work: %q; see loadtest list", unknown)
	}
	return works, nil
}

// results is what is written as JSON.
type results struct {
	When    time.Time         `json:"when"`
	How     string            `json:"how"` // rounds, and their length
	Machine measure.Machine   `json:"machine"`
	Peers   map[string]string `json:"peers"`
	Records []report.Record   `json:"records"`
}

func newRun() *cobra.Command {
	var s settings
	var peers []string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure the gateway and its peers on the same work",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			works, err := s.chosen()
			if err != nil {
				return err
			}
			ready, missing := peer.Prepare(cmd.Context(), peers, s.cache, cmd.ErrOrStderr())
			for name, why := range missing {
				fmt.Fprintf(cmd.ErrOrStderr(), "without %s: %v\n", name, why)
			}
			if ready["sluice"] == "" {
				return fmt.Errorf("the gateway itself cannot be built: %w", missing["sluice"])
			}
			if err := s.pin(); err != nil {
				return err
			}
			o := s.options()
			o.Works = works
			for _, name := range peers {
				if _, ok := ready[name]; ok {
					o.Subjects = append(o.Subjects, run.Subject{Name: name, Peer: name})
				}
			}
			if slices.ContainsFunc(works, func(w work.Work) bool { return w.Takes(work.Direct) }) {
				o.Subjects = append(o.Subjects, run.Subject{Name: work.Direct, Peer: work.Direct})
			}
			return s.carryOut(cmd, o, ready)
		},
	}
	s.add(cmd.Flags())
	cmd.Flags().StringSliceVar(&peers, "peers", peer.Names(), "proxies to compare")
	cmd.RegisterFlagCompletionFunc("works", workNames)
	return cmd
}

func (s *settings) options() run.Options {
	return run.Options{Rounds: s.rounds, Duration: s.duration, ProxyCPUs: s.proxyCPUs, LoadCPUs: s.loadCPUs, AllCPUs: os.Getenv(pinned), Cache: s.cache}
}

// carryOut measures, and writes what came of it however it ended.
func (s *settings) carryOut(cmd *cobra.Command, o run.Options, versions map[string]string) error {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "loadtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	o.Scratch = scratch
	found := results{
		When: time.Now().UTC().Truncate(time.Second), How: rounds(s.rounds, s.duration),
		Machine: measure.This(), Peers: versions,
	}
	o.Record = func(r report.Record) { found.Records = append(found.Records, r) }
	progress := newProgress(cmd.ErrOrStderr(), o.Steps())
	o.Progress = progress.step
	ended := run.All(cmd.Context(), o)
	progress.end()
	if errors.Is(ended, context.Canceled) {
		ended = errors.New("interrupted; what was measured until then is written")
	}
	if err := s.write(cmd.OutOrStdout(), &found, o); err != nil {
		return errors.Join(ended, err)
	}
	return ended
}

// write leaves the results in files, and the tables on the terminal too.
func (s *settings) write(stdout io.Writer, found *results, o run.Options) error {
	data, err := json.MarshalIndent(found, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.out, "results.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	names := titles(o.Works)
	summary := report.Summarise(found.Records, o.Subjects[0].Name)
	text := found.header() + summary.Markdown(names)
	if err := os.WriteFile(filepath.Join(s.out, "results.md"), []byte(text), 0o644); err != nil {
		return err
	}
	if _, err := summary.Plots(s.out, names); err != nil {
		return err
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// rounds says how often was measured, and how long.
func rounds(n int, each time.Duration) string {
	if n == 1 {
		return fmt.Sprintf("One round of %s", each)
	}
	return fmt.Sprintf("%d rounds of %s, in turns", n, each)
}

// minute is how the time of a measurement is told.
const minute = "2006-01-02 15:04 MST"

// header says when, where and how the figures came about.
func (found *results) header() string {
	return fmt.Sprintf("%s. %s\n\n", found.When.Format(minute), found.conditions())
}

// conditions says where and how the figures came about.
func (found *results) conditions() string {
	var versions []string
	for _, name := range peer.Names() {
		if v, ok := found.Peers[name]; ok {
			versions = append(versions, strings.TrimSpace(name+" "+v))
		}
	}
	return fmt.Sprintf("%s. %s. %s.", found.How, found.Machine, strings.Join(versions, ", "))
}

// readResults reads what write has written.
func readResults(file string) (*results, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	found := &results{}
	if err := json.Unmarshal(data, found); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return found, nil
}
