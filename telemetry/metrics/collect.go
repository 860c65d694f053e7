package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// help is what the metrics are about.
var help = [metricCount]string{
	requestsTotal:    "Requests that ended.",
	requestDuration:  "Time from a request's head to the end of its response, in milliseconds.",
	requestBytes:     "Sizes of requests, heads included, in bytes.",
	responseBytes:    "Sizes of responses, heads included, in bytes.",
	requestMessages:  "Messages of gRPC calls that clients sent.",
	responseMessages: "Messages of gRPC calls that clients were sent.",
	tcpOpened:        "Connections that were opened, of those whose bytes are carried as they are.",
	tcpClosed:        "Connections that were closed, of those whose bytes are carried as they are.",
	tcpSent:          "Bytes that clients were sent, on connections whose bytes are carried as they are.",
	tcpReceived:      "Bytes that clients sent, on connections whose bytes are carried as they are.",
}

var (
	descs = func() (d [metricCount]*prometheus.Desc) {
		for i, name := range metricNames {
			d[i] = prometheus.NewDesc(name, help[i], nil, nil)
		}
		return d
	}()
	listenerRequestsDesc = prometheus.NewDesc("sluice_requests_total",
		"Requests that ended, by listener, class of the response code (0xx: none was sent) and Envoy's response flags.",
		[]string{"listener", "code_class", "response_flags"}, nil)
	envoyRequestsDesc = prometheus.NewDesc("envoy_listener_http_downstream_rq",
		"Requests that ended, under Envoy's name.", []string{"listener_address"}, nil)
	listenerDurationDesc = prometheus.NewDesc("sluice_request_duration_seconds",
		"Time from a request's head to the end of its response.", []string{"listener"}, nil)
	seriesDesc = prometheus.NewDesc("sluice_metrics_series",
		"Series of Istio's standard metrics.", []string{"metric"}, nil)
	overflowDesc = prometheus.NewDesc("sluice_metrics_overflow_total",
		"Requests and connections that were counted as other, because there are too many series.", nil, nil)
)

// Describe implements prometheus.Collector. It sends nothing: the labels depend on the
// configuration.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	// The samples are copies, so that whoever reads them slowly holds nobody up.
	for _, s := range m.samples() {
		ch <- s
	}
}

func (m *Metrics) samples() []prometheus.Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drain()
	var list []prometheus.Metric
	for i := range m.families {
		f := &m.families[i]
		for s := range f.all() {
			list = append(list, m.sample(metric(i), s))
		}
		if f.size > 0 {
			list = append(list, prometheus.MustNewConstMetric(seriesDesc, prometheus.GaugeValue, float64(f.size), metricNames[i]))
		}
	}
	for name, l := range m.requests {
		list = append(list, l.samples(name)...)
	}
	return append(list, prometheus.MustNewConstMetric(overflowDesc, prometheus.CounterValue, float64(m.overflow)))
}

// sample is a series at one moment.
type sample struct {
	desc      *prometheus.Desc
	labels    *labels
	value     float64
	histogram Histogram
}

func (m *Metrics) sample(i metric, s *series) *sample {
	c := &sample{desc: descs[i], labels: s.labels, value: s.value}
	if i.histogram() {
		c.histogram = Histogram{Bounds: m.boundsOf(i).upper, Counts: slices.Clone(s.counts), Sum: s.value}
	}
	return c
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.labels.pairs()
	if s.histogram.Counts == nil {
		out.Counter = &dto.Counter{Value: proto.Float64(s.value)}
		return nil
	}
	h := &dto.Histogram{SampleSum: proto.Float64(s.histogram.Sum), Bucket: make([]*dto.Bucket, len(s.histogram.Bounds))}
	var cumulative uint64
	for i, bound := range s.histogram.Bounds {
		cumulative += s.histogram.Counts[i]
		h.Bucket[i] = &dto.Bucket{UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(cumulative)}
	}
	h.SampleCount = proto.Uint64(cumulative + s.histogram.Counts[len(s.histogram.Bounds)])
	out.Histogram = h
	return nil
}

func (l *listenerSeries) samples(name string) []prometheus.Metric {
	if len(l.responses) == 0 {
		return nil
	}
	var list []prometheus.Metric
	for k, n := range l.responses {
		class, flags := k.labels()
		list = append(list, prometheus.MustNewConstMetric(listenerRequestsDesc, prometheus.CounterValue, float64(n), name, class, flags))
	}
	list = append(list, prometheus.MustNewConstMetric(envoyRequestsDesc, prometheus.CounterValue, float64(l.duration.Total()), name))
	buckets := make(map[float64]uint64, len(l.duration.Bounds))
	var cumulative uint64
	for i, bound := range l.duration.Bounds {
		cumulative += l.duration.Counts[i]
		buckets[bound/1000] = cumulative
	}
	cumulative += l.duration.Counts[len(l.duration.Bounds)]
	return append(list, prometheus.MustNewConstHistogram(listenerDurationDesc, cumulative, l.duration.Sum, buckets, name))
}
