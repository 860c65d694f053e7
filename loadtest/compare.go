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
		Long:    "Builds both commits, runs them in turns, and says what B differs in from A: as ratios, and by benchstat. B may be \"worktree\": the files as they are now.",
		Example: "  go run . compare main~1 worktree --works http1-1k,tls-1k",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return misusef("two commits are needed: compare A B")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			works, without, err := s.chosen()
			if err != nil {
				return err
			}
			if err := s.makeOut(); err != nil {
				return err
			}
			what, err := ready(cmd.Context(), args)
			if err != nil {
				return err
			}
			if err := s.pin(nil); err != nil {
				return err
			}
			for _, line := range without {
				fmt.Fprintln(cmd.ErrOrStderr(), line)
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
				if cmd.Context().Err() != nil {
					return errors.New("interrupted; nothing was measured")
				}
				if err != nil {
					return err
				}
				o.Subjects = append(o.Subjects, run.Subject{Name: subjectName(rev, i), Peer: "sluice", Binary: binaries})
			}
			before, after := o.Subjects[0].Name, o.Subjects[1].Name
			err = s.carryOut(cmd, o, after, map[string]string{"sluice": strings.Join(what, " and ")})
			if cmd.Context().Err() != nil {
				return err
			}
			// Where something went wrong, the rest can be compared all the same.
			return errors.Join(s.benchstat(cmd, before, after), err)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{worktree}, cobra.ShellCompDirectiveNoFileComp
		},
	}
	s.add(cmd.Flags(), 6)
	cmd.RegisterFlagCompletionFunc("works", workNames)
	return cmd
}

// worktree is what stands for the files as they are now.
const worktree = "worktree"

// ready says which commits are compared, and finds out before anything is measured what would be
// missing after that.
func ready(ctx context.Context, revs []string) ([]string, error) {
	if _, err := command(ctx, "", "go", "tool", "-n", "benchstat"); err != nil {
		return nil, err
	}
	var commits []string
	for _, rev := range revs {
		commit, err := revision(ctx, rev)
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

// revision says which commit a revision is.
func revision(ctx context.Context, rev string) (string, error) {
	if rev == worktree {
		return rev, nil
	}
	commit, err := command(ctx, "", "git", "rev-parse", "--verify", "--short=12", rev+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("there is no commit %q: %w", rev, err)
	}
	return fmt.Sprintf("%s (%s)", rev, strings.TrimSpace(commit)), nil
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
	if rev != worktree {
		source = dir + "-source"
		defer command(context.WithoutCancel(ctx), "", "git", "worktree", "remove", "--force", source)
		if _, err := command(ctx, "", "git", "worktree", "add", "--detach", source, rev); err != nil {
			return "", err
		}
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
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as releases are built
	out, err := cmd.Output()
	if err != nil {
		if e := (*exec.ExitError)(nil); errors.As(err, &e) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(e.Stderr)))
		}
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// benchstat shows what differs between two subjects, and whether that can be chance.
func (s *settings) benchstat(cmd *cobra.Command, before, after string) error {
	found, err := readResults(filepath.Join(s.out, "results.json"))
	if err != nil {
		return err
	}
	var files []string
	for _, name := range []string{before, after} { // the first is benchstat's base
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
