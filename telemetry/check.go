package telemetry

import (
	"fmt"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/accesslog"
	"github.com/sluicegate/sluice/telemetry/expression"
	"github.com/sluicegate/sluice/telemetry/metrics"
)

// Check says which formats and expressions of a plan do not compile, for whoever wrote them.
// What does not compile is left out when the plan comes into force: a log with a filter that
// cannot be read writes no line.
func Check(t *router.Telemetry) []router.TelemetryProblem {
	if t == nil {
		return nil
	}
	var c checker
	for _, p := range []*router.TelemetryPolicy{&t.Outbound, &t.Inbound} {
		for i := range p.AccessLogs {
			c.log(&p.AccessLogs[i])
		}
		for i := range p.Metrics {
			c.metric(&p.Metrics[i])
		}
		if p.Tracing != nil {
			c.tracing(p.Tracing)
		}
	}
	return c.found
}

type checker struct{ found []router.TelemetryProblem }

// note adds a problem once: both directions often have the same.
func (c *checker) note(at router.Origin, field string, err error, format string, args ...any) {
	if err == nil {
		return
	}
	if at.Field += field; field != "" && at.Field == field {
		at.Field = field[1:]
	}
	p := router.TelemetryProblem{Origin: at, Message: fmt.Sprintf(format, args...) + err.Error()}
	for _, known := range c.found {
		if known == p {
			return
		}
	}
	c.found = append(c.found, p)
}

func (c *checker) log(l *router.AccessLog) {
	if l.Filter != "" {
		_, err := expression.Compile(l.Filter, expression.Condition)
		c.note(l.Origin, ".filter.expression", err, "nothing is logged: ")
	}
	what := "the format"
	if l.Provider != "" {
		what = fmt.Sprintf("the format of provider %q", l.Provider)
	}
	if l.Text != "" {
		c.note(l.Origin, "", accesslog.Check(l.Text), "%s: ", what)
	}
	c.note(l.Origin, "", accesslog.CheckFields(l.Fields), "%s: ", what)
	if l.OTLP != nil {
		c.note(l.Origin, "", accesslog.CheckFields(l.OTLP.Attributes), "%s: ", what)
	}
}

func (c *checker) metric(m *router.MetricOverride) {
	for _, t := range m.Tags {
		if !t.Remove {
			_, err := expression.Compile(t.Value, expression.Text)
			c.note(m.Origin, ".tagOverrides["+t.Name+"].value", err, "the label is left as it is: ")
			c.note(m.Origin, ".tagOverrides["+t.Name+"]", metrics.CheckTagName(t.Name), "the tag is left out: ")
		}
	}
}

func (c *checker) tracing(t *router.Tracing) {
	for _, tag := range t.Tags {
		if tag.Formatter != "" {
			c.note(t.Origin, ".customTags["+tag.Name+"].formatter.value", accesslog.Check(tag.Formatter), "the tag is left out: ")
		}
	}
}
