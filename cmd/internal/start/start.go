// Package start owns what the start-up of the proxies' binaries shares: exit statuses,
// signals, the log, and the wiring from folders of files through Istio's API to a role.
//
// It must not know what a role does with any of it.
package start

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // it could not start, or had to end
	exitMisuse = 2 // the command line makes no sense
)

// Misuse is an error in what was typed.
type Misuse struct{ error }

// Misusef returns a Misuse.
func Misusef(format string, args ...any) error { return Misuse{fmt.Errorf(format, args...)} }

// ErrReported fails a command whose output says already what is wrong.
var ErrReported = errors.New("reported")

// Execute runs a command line and returns the exit status. SIGTERM and SIGINT end the
// command's context; a second one ends the process at once.
func Execute(cmd *cobra.Command, args []string, stdout, stderr io.Writer) int {
	started := false
	cmd.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	out := &output{Writer: stdout}
	if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		cmd.SetOut(stdout) // Which looks like one to whoever asks.
	} else {
		cmd.SetOut(out)
	}
	cmd.SetErr(stderr)

	ctx, end := untilSignal()
	defer end()
	cmd, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		// Started or not: a help text that nobody got is not done either.
		started, err = true, out.err()
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ErrReported):
		return exitFailed
	case started && !errors.As(err, new(Misuse)):
		fmt.Fprintf(stderr, "Error: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stderr, "Error: %v\nTry '%s --help'.\n", err, cmd.CommandPath())
	return exitMisuse
}

// output remembers that what was printed could not be written: a disk is full.
type output struct {
	io.Writer
	mu     sync.Mutex
	failed error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.failed = cmp.Or(o.failed, err)
	}
	return n, err
}

func (o *output) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// untilSignal returns a context that SIGTERM or SIGINT ends. Signals do what they do by
// default before it ends, not soon after: whoever sees that the process drains can end it
// with another.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer end()
		defer signal.Stop(signals)
		select {
		case <-signals:
		case <-ctx.Done():
		}
	}()
	return ctx, end
}

// Logger returns a logger by the names of a level (debug, info, warn, error) and a
// format (text, json). level becomes what may be changed while the process runs.
func Logger(w io.Writer, level *slog.LevelVar, name, format string) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return nil, Misusef("--log-level %q: must be debug, info, warn or error", name)
	}
	o := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, Misusef("--log-format %q: must be text or json", format)
}

// Files returns the source that reads and watches folders.
func Files(dirs []string) role.Source {
	return func(ctx context.Context, publish func(config.Delta)) error {
		return file.Watch(ctx, file.Options{Dirs: dirs}, publish)
	}
}

// Istio returns what compiles Istio's and Kubernetes' objects for one proxy.
func Istio(o istio.Options) func() pipeline.Compile {
	o.CheckTelemetry = telemetry.Check
	return func() pipeline.Compile {
		c := istio.NewCompiler(o)
		return func(d config.Delta) (*router.Spec, []config.Condition) {
			r := c.Apply(d)
			return r.Spec, r.Conditions
		}
	}
}
