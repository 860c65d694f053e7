package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

// add adds the flags; benchstat says little of what differs in fewer than 6 rounds.
func (s *settings) add(flags *pflag.FlagSet, rounds int) {
	s.addWork(flags, nil)
	flags.IntVar(&s.rounds, "rounds", rounds, "how often each proxy takes its turn")
	flags.StringVar(&s.out, "out", "results", "folder for results.json, results.md and the plots")
}

// addWork adds what says which works are done, and how; no works means all.
func (s *settings) addWork(flags *pflag.FlagSet, works []string) {
	flags.StringSliceVar(&s.works, "works", works, "works to do (see list); all where none is named")
	flags.DurationVar(&s.duration, "duration", 5*time.Second, "how long one measurement takes; wrk and h2load take whole seconds, 1s at least")
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

// chosen returns the works that are to be done, if what was typed makes sense, for peers that are
// to take part.
func (s *settings) chosen(peers ...string) (works []work.Work, without []string, err error) {
	works, unknown := work.Named(s.works)
	switch {
	case s.rounds < 1:
		return nil, nil, misusef("--rounds %d: must be at least 1", s.rounds)
	case s.duration < 100*time.Millisecond:
		return nil, nil, misusef("--duration %s: must be at least 100ms, or nothing is measured", s.duration)
	case len(unknown) > 0:
		return nil, nil, misusef("no such work: %q; see loadtest list", unknown)
	}
	works = slices.DeleteFunc(works, func(w work.Work) bool {
		gone := w.HalfOf != "" && !slices.Contains(peers, w.HalfOf)
		if gone {
			without = append(without, fmt.Sprintf("without %s: its rate is half of what %s bears, which does not take part", w.Name, w.HalfOf))
		}
		return gone
	})
	if len(works) == 0 {
		return nil, nil, misusef("nothing is to be done: %s", strings.Join(without, "; "))
	}
	return works, without, nil
}

// makeOut makes the folder for results, before anything is measured for it.
func (s *settings) makeOut() error {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return fmt.Errorf("the results have no place: %w", err)
	}
	return writable(filepath.Join(s.out, "results.json"))
}

// writable tells whether a file can be written, and leaves what is in it.
func writable(file string) error {
	_, err := os.Stat(file)
	there := err == nil
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("the results have no place: %w", err)
	}
	if !there {
		os.Remove(file)
	}
	return f.Close()
}

// results is what is written as JSON.
type results struct {
	When    time.Time         `json:"when"`
	How     string            `json:"how"` // rounds, their length, and whether they were interrupted
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
			if unknown := slices.DeleteFunc(slices.Clone(peers), known); len(unknown) > 0 {
				return misusef("no such peer: %q; there are %q", unknown, candidates())
			}
			// Whatever was typed, the gateway is there, and it is what the others are compared with.
			all := slices.DeleteFunc(peer.Names(), func(name string) bool { return name != "sluice" && !slices.Contains(peers, name) })
			if _, _, err := s.chosen(all...); err != nil {
				return err
			}
			if err := s.makeOut(); err != nil {
				return err
			}
			ready, err := s.prepare(cmd, all)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(name string) bool { _, ok := ready[name]; return !ok })
			works, without, err := s.chosen(all...)
			if err != nil {
				return err
			}
			for _, line := range without {
				fmt.Fprintln(cmd.ErrOrStderr(), line)
			}
			o := s.options()
			o.Works = works
			for _, name := range all {
				o.Subjects = append(o.Subjects, run.Subject{Name: name, Peer: name})
			}
			for _, name := range []string{work.Direct, work.Relay} {
				wanted := name == work.Direct || slices.Contains(peers, name)
				if wanted && slices.ContainsFunc(works, func(w work.Work) bool { return w.Takes(name) }) {
					o.Subjects = append(o.Subjects, run.Subject{Name: name, Peer: name})
				}
			}
			return s.carryOut(cmd, o, "sluice", ready)
		},
	}
	s.add(cmd.Flags(), 5)
	cmd.Flags().StringSliceVar(&peers, "peers", candidates(), "proxies to compare the gateway with; the relay does nothing but to pass on bytes")
	cmd.RegisterFlagCompletionFunc("works", workNames)
	cmd.RegisterFlagCompletionFunc("peers", completion(candidates()))
	return cmd
}

// candidates are what the gateway can be compared with, and itself.
func candidates() []string { return append(peer.Names(), work.Relay) }

func known(name string) bool { return slices.Contains(candidates(), name) }

// prepare has the programs of peers ready, says once which are not, and moves to where the load is
// to run.
func (s *settings) prepare(cmd *cobra.Command, names []string) (ready map[string]string, err error) {
	gone := strings.Split(os.Getenv(missingPeers), ",")
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(gone, name) })
	ready, missing := peer.Prepare(cmd.Context(), names, s.cache, cmd.ErrOrStderr())
	if err := cmd.Context().Err(); err != nil {
		return nil, errors.New("interrupted; nothing was measured")
	}
	if err := missing["sluice"]; err != nil {
		return nil, fmt.Errorf("the gateway itself cannot be built: %w", err)
	}
	gone = slices.Sorted(maps.Keys(missing))
	for _, name := range gone {
		fmt.Fprintf(cmd.ErrOrStderr(), "without %s: %v\n", name, missing[name])
	}
	return ready, s.pin(gone)
}

func (s *settings) options() run.Options {
	return run.Options{Rounds: s.rounds, Duration: s.duration, ProxyCPUs: s.proxyCPUs, LoadCPUs: s.loadCPUs, AllCPUs: os.Getenv(pinned), Cache: s.cache}
}

// carryOut measures, and writes what came of it, next to the subject, however it ended.
func (s *settings) carryOut(cmd *cobra.Command, o run.Options, subject string, versions map[string]string) error {
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
	switch interrupted := errors.Is(ended, context.Canceled); {
	case interrupted && len(found.Records) == 0:
		return instead(ended, fmt.Errorf("interrupted; nothing was measured, and %s is as it was", s.out))
	case interrupted:
		found.How += ", interrupted"
		ended = instead(ended, fmt.Errorf("interrupted; what was measured until then is in %s", s.out))
	case len(found.Records) == 0:
		return errors.Join(ended, fmt.Errorf("nothing was measured, and %s is as it was", s.out))
	}
	return errors.Join(ended, s.write(cmd.OutOrStdout(), &found, subject, titles(o.Works)))
}

// instead puts an error in the place of the context's own, which says little, among those of run.All.
func instead(ended, err error) error {
	all := []error{ended}
	if several, ok := ended.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	all = slices.DeleteFunc(slices.Clone(all), func(err error) bool { return errors.Is(err, context.Canceled) })
	return errors.Join(append(all, err)...)
}

// write shows the tables, and leaves them and the results in files.
func (s *settings) write(stdout io.Writer, found *results, subject string, names map[string]string) error {
	summary := report.Summarise(found.Records, subject)
	text := found.header() + summary.Markdown(names)
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	data, err := json.MarshalIndent(found, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.out, "results.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.out, "results.md"), []byte(text), 0o644); err != nil {
		return err
	}
	_, err = summary.Plots(s.out, names)
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
	// Other JSON can be read, too, and what is not known of it is left out.
	strange := func(r report.Record) bool { return r.Work == "" || r.Peer == "" || r.Figure == "" || r.Round < 1 }
	if found.How == "" || len(found.Records) == 0 || slices.ContainsFunc(found.Records, strange) {
		return nil, fmt.Errorf("%s holds no results, or those of another version", file)
	}
	return found, nil
}
