package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/loadtest/peer"
	"github.com/sluicegate/sluice/loadtest/report"
	"github.com/sluicegate/sluice/loadtest/run"
)

func newCompare() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:     "compare A B",
		Short:   "Measure two commits of the gateway on the same work",
		Long:    "Builds both commits, runs them in turns, and has benchstat say what differs. B may be \"worktree\": the files as they are now.",
		Example: "  go run . compare main~1 worktree --works http1-1k,tls-1k",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return misusef("two commits are needed: compare A B")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			works, err := s.chosen()
			if err != nil {
				return err
			}
			if err := s.pin(); err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "loadtest-compare-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			o := s.options()
			o.Works = works
			for i, rev := range args {
				binaries, err := buildRevision(cmd.Context(), rev, filepath.Join(dir, fmt.Sprint(i)))
				if err != nil {
					return err
				}
				o.Subjects = append(o.Subjects, run.Subject{Name: subjectName(rev, i), Peer: "sluice", Binary: binaries})
			}
			if err := s.carryOut(cmd, o, map[string]string{"sluice": strings.Join(args, " and ")}); err != nil && !errors.Is(err, run.ErrLost) {
				return err
			}
			return s.benchstat(cmd)
		},
	}
	s.add(cmd.Flags())
	cmd.RegisterFlagCompletionFunc("works", workNames)
	return cmd
}

// subjectName makes a name for files and tables of a revision.
func subjectName(rev string, i int) string {
	return string(rune('A'+i)) + "-" + strings.NewReplacer("/", "_", "~", "_", "^", "_", ":", "_").Replace(rev)
}

// buildRevision builds the programs of a revision into a folder.
func buildRevision(ctx context.Context, rev, dir string) (string, error) {
	root, err := command(ctx, "", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	source := strings.TrimSpace(root)
	if rev != "worktree" {
		source = dir + "-source"
		if _, err := command(ctx, "", "git", "worktree", "add", "--detach", source, rev); err != nil {
			return "", err
		}
		defer command(context.WithoutCancel(ctx), "", "git", "worktree", "remove", "--force", source)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	profile := "off"
	if _, err := os.Stat(filepath.Join(source, peer.Profile)); err == nil {
		profile = peer.Profile
	}
	for _, name := range []string{"gateway", "sidecar"} {
		if _, err := command(ctx, source, "go", "build", "-trimpath", "-pgo="+profile, "-o", filepath.Join(dir, "sluice-"+name), "./cmd/"+name); err != nil {
			return "", fmt.Errorf("%s does not build: %w", rev, err)
		}
	}
	return filepath.Join(dir, "sluice-gateway"), nil
}

// command runs a program and returns what it printed.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if e := (*exec.ExitError)(nil); errors.As(err, &e) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(e.Stderr)))
		}
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// benchstat shows what differs between the two, and whether that can be chance.
func (s *settings) benchstat(cmd *cobra.Command) error {
	found, err := readResults(filepath.Join(s.out, "results.json"))
	if err != nil {
		return err
	}
	var files []string
	for _, name := range report.Subjects(found.Records) {
		file := filepath.Join(s.out, name+".txt")
		if err := os.WriteFile(file, []byte(report.Benchstat(found.Records, name)), 0o644); err != nil {
			return err
		}
		files = append(files, name+"="+file)
	}
	tool := exec.CommandContext(cmd.Context(), "go", append([]string{"tool", "benchstat"}, files...)...)
	tool.Stdout, tool.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	return tool.Run()
}
