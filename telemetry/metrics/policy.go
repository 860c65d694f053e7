package metrics

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// metric is one of the standard metrics.
type metric uint8

const (
	requestsTotal metric = iota
	requestDuration
	requestBytes
	responseBytes
	requestMessages
	responseMessages
	tcpOpened
	tcpClosed
	tcpSent
	tcpReceived
	metricCount
)

var metricNames = [metricCount]string{
	"istio_requests_total", "istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes",
	"istio_request_messages_total", "istio_response_messages_total",
	"istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total",
	"istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total",
}

// policy is what the metrics of one direction look like (Istio Telemetry metrics[].overrides).
type policy struct {
	inbound bool
	metrics [metricCount]metricPolicy
	// tags are the expressions that any of them has.
	tags []*tagExpression
}

// metricPolicy is what one metric looks like.
type metricPolicy struct {
	disabled bool
	// removed are standard labels, by their bits.
	removed uint32
	// set are labels that have the value of an expression: their names, and the places of
	// these in the policy's tags.
	set []tagLabel
	// columns are the labels that come of these.
	columns []column
}

type tagLabel struct {
	name string
	tag  int
}

// labelName is what Prometheus takes for one.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// CheckTagName returns why a tag of that name cannot be a label, nil where it can. A single label
// that Prometheus does not take would cost the page with all metrics.
func CheckTagName(name string) error {
	switch {
	case !labelName.MatchString(name):
		return fmt.Errorf("%q cannot be a label in Prometheus: use letters, digits and _", name)
	case strings.HasPrefix(name, "__"), name == "le":
		return fmt.Errorf("%q cannot be a label: Prometheus has le, and all names that begin with __, for itself", name)
	}
	return nil
}

// newPolicy puts overrides in force, in their order. Those that cannot be are told to the
// logger, and leave the label as it was.
func newPolicy(inbound bool, overrides []router.MetricOverride, logger *slog.Logger) *policy {
	p := &policy{inbound: inbound}
	for _, o := range overrides {
		for i := range p.metrics {
			if o.Metric != "" && o.Metric != metricNames[i] {
				continue
			}
			m := &p.metrics[i]
			m.disabled = (m.disabled || o.Disabled) && !o.Enabled
			for _, t := range o.Tags {
				if err := p.override(m, t); err != nil {
					logger.Warn("a metric's tag is left as it is", "tag", t.Name, "object", o.Origin.String(), "error", err)
				}
			}
		}
	}
	for i := range p.metrics {
		p.metrics[i].columns = columnsOf(metric(i), &p.metrics[i])
	}
	return p
}

func (p *policy) override(m *metricPolicy, t router.TagOverride) error {
	bit := uint32(0)
	if i := slices.Index(labelNames[:], t.Name); i >= 0 {
		bit = 1 << i
	}
	if t.Remove {
		m.removed |= bit
		m.unset(t.Name)
		return nil
	}
	if err := CheckTagName(t.Name); err != nil {
		return err
	}
	tag, err := p.tag(t)
	if err != nil {
		return err
	}
	m.removed |= bit
	m.unset(t.Name)
	m.set = append(m.set, tagLabel{t.Name, tag})
	return nil
}

func (m *metricPolicy) unset(name string) {
	m.set = slices.DeleteFunc(m.set, func(l tagLabel) bool { return l.name == name })
}

// same tells whether two metrics have the same labels.
func (m *metricPolicy) same(o *metricPolicy) bool {
	return m.removed == o.removed && slices.Equal(m.set, o.set)
}

// without returns the labels that a metric does not have by its nature.
func (m metric) without() uint32 {
	switch m {
	case requestMessages, responseMessages:
		return 1<<responseCode | 1<<grpcResponseStatus | 1<<responseFlags
	case tcpOpened, tcpClosed, tcpSent, tcpReceived:
		return 1<<responseCode | 1<<grpcResponseStatus
	}
	return 0
}

// histogram tells whether a metric is one.
func (m metric) histogram() bool {
	return m == requestDuration || m == requestBytes || m == responseBytes
}

// counted tells whether a metric is about a kind of traffic.
func (m metric) counted(k kind) bool {
	switch {
	case m >= tcpOpened:
		return k == kindTCP
	case m == requestMessages || m == responseMessages:
		return k == kindGRPC
	}
	return k != kindTCP
}
