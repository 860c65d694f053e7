package start

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/telemetry/accesslog"
)

// addAccessLog declares the flags of the access log.
func (f *Flags) addAccessLog(flags *pflag.FlagSet) {
	flags.StringVar(&f.AccessLog, "access-log", "", "file for the access log where the configuration names none, - for standard output; empty for none. SIGUSR1 opens files anew")
	flags.StringVar(&f.AccessLogFormat, "access-log-format", "", "format of --access-log, with Envoy's operators such as %RESPONSE_CODE%; with --access-log-encoding json a JSON object of formats; empty for Istio's")
	flags.StringVar(&f.accessLogEncoding, "access-log-encoding", "text", "form of the lines of --access-log: text or json")
}

// AccessLogJSON says that the lines of the access log are JSON.
func (f *Flags) AccessLogJSON() bool { return f.accessLogEncoding == "json" }

func (f *Flags) checkAccessLog() error {
	if f.accessLogEncoding != "text" && f.accessLogEncoding != "json" {
		return Misusef("--access-log-encoding %q: must be text or json", f.accessLogEncoding)
	}
	if err := accesslog.CheckDefault(f.AccessLogFormat, f.AccessLogJSON()); err != nil {
		return Misusef("--access-log-format: %w", err)
	}
	return nil
}

// ReopenSignal returns where SIGUSR1 comes, by which other tools say that they have moved log
// files.
func ReopenSignal() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	return c
}
