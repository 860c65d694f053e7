package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/pprof/profile"
	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/run"
)

// everyday are the works that releases are built for: what most gateways do all day.
var everyday = []string{"http1-1k", "http1-post", "http1-close", "tls-1k", "http2-32", "grpc-unary", "access-log", "hosts-10k"}

func newProfile() *cobra.Command {
	s := settings{rounds: 1}
	cmd := &cobra.Command{
		Use:     "profile FILE",
		Short:   "Write where the gateway spends its time, for the compiler",
		Long:    "Puts the gateway to everyday work, and writes one profile of all of it. Releases are built with that (go build -pgo): code that such work often comes through is compiled for speed.",
		Example: "  go run . profile ../cmd/traffic.pgo",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misusef("one file is needed: profile FILE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			works, _, err := s.chosen()
			if err != nil {
				return err
			}
			for _, w := range works {
				if w.Rate == 0 {
					return misusef("%s offers no requests: there is nothing to profile", w.Name)
				}
			}
			if err := writable(args[0]); err != nil {
				return err
			}
			if _, err := s.prepare(cmd, []string{"sluice"}); err != nil {
				return err
			}
			o := s.options()
			o.Works, o.Subjects = works, []run.Subject{{Name: "sluice", Peer: "sluice"}}
			return takeProfile(cmd, o, args[0])
		},
	}
	s.addWork(cmd.Flags(), everyday)
	cmd.RegisterFlagCompletionFunc("works", workNames)
	return cmd
}

// takeProfile writes one profile of all works into a file.
func takeProfile(cmd *cobra.Command, o run.Options, file string) error {
	scratch, err := os.MkdirTemp("", "loadtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	o.Scratch, o.Profiles = scratch, filepath.Join(scratch, "profiles")
	if err := os.Mkdir(o.Profiles, 0o755); err != nil {
		return err
	}
	o.Record = func(report.Record) {}
	progress := newProgress(cmd.ErrOrStderr(), o.Steps())
	o.Progress = progress.step
	err = run.All(cmd.Context(), o)
	progress.end()
	if cmd.Context().Err() != nil {
		return fmt.Errorf("interrupted; %s is as it was", file)
	}
	if err != nil {
		return err
	}
	return mergeProfiles(o.Profiles, file)
}

// mergeProfiles makes one profile of those in a folder. It says nothing of where they come from:
// compilers look at functions and lines alone.
func mergeProfiles(dir, file string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var all []*profile.Profile
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		p, err := profile.ParseData(text)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		all = append(all, p)
	}
	merged, err := profile.Merge(all)
	if err != nil {
		return err
	}
	for _, m := range merged.Mapping {
		m.File, m.BuildID = "", ""
	}
	merged.Comments, merged.DocURL = nil, ""
	var out bytes.Buffer
	if err := merged.Write(&out); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}
