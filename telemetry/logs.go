package telemetry

import (
	"slices"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/accesslog"
)

// logs returns how the access logs are to be.
func (o Options) logs(shards int) accesslog.Options {
	return accesslog.Options{
		File: o.AccessLog, Text: o.AccessLogFormat, JSON: o.AccessLogJSON, Stdout: o.Stdout,
		Shards: shards, Dial: o.dial, Identity: o.Identity, Logger: o.Logger,
	}
}

// ReopenLogs opens the files of access logs anew by their names, as after a rotation.
func (t *Telemetry) ReopenLogs() { t.logs.Reopen() }

// Captured returns the names, in lower case, of the headers and trailers of responses that
// logs, metrics and spans of the configuration in force ask for. They are for
// forward.Engine.Capture, once Apply has returned.
func (t *Telemetry) Captured() (headers, trailers []string) {
	headers, trailers = t.logs.Wanted()
	h, r := t.metrics.Wanted()
	headers, trailers = slices.Concat(headers, h), slices.Concat(trailers, r)
	h, r = tagsWanted(t.plan)
	headers, trailers = slices.Concat(headers, h), slices.Concat(trailers, r)
	slices.Sort(headers)
	slices.Sort(trailers)
	return slices.Compact(headers), slices.Compact(trailers)
}

// tagsWanted returns those that tags of spans ask for.
func tagsWanted(plan *router.Telemetry) (headers, trailers []string) {
	for _, tracing := range []*router.Tracing{plan.Outbound.Tracing, plan.Inbound.Tracing} {
		if tracing == nil {
			continue
		}
		for _, tag := range tracing.Tags {
			f, err := accesslog.Compile(tag.Formatter, true)
			if err != nil { // the tag is left out
				continue
			}
			headers = append(headers, f.ResponseHeaders()...)
			trailers = append(trailers, f.ResponseTrailers()...)
		}
	}
	return headers, trailers
}
