package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificate is what the metrics say about one certificate.
type Certificate struct {
	// Name is its source: "secret default/shop", "file /etc/certs/tls.crt", "mesh".
	Name string
	// Serial is hexadecimal; NotAfter is zero where no version was ever good.
	Serial   string
	NotAfter time.Time
	// Broken says that its newest version cannot be used.
	Broken bool
}

var (
	certificateNotAfterDesc = prometheus.NewDesc("sluice_certificate_not_after_seconds",
		"When the certificate in force expires, in seconds since 1970.", []string{"source", "serial"}, nil)
	certificateBrokenDesc = prometheus.NewDesc("sluice_certificate_broken",
		"1 where the newest version of a certificate cannot be used, so that an older one, or none, is in force.", []string{"source"}, nil)
	firstExpiryDesc = prometheus.NewDesc("envoy_server_days_until_first_cert_expiring",
		"Whole days until the first certificate expires.", nil, nil)
)

// collectCertificates sends the metrics of certificates.
func collectCertificates(ch chan<- prometheus.Metric, list []Certificate, now time.Time) {
	var first time.Time
	for _, c := range list {
		broken := 0.0
		if c.Broken {
			broken = 1
		}
		send(ch, certificateBrokenDesc, prometheus.GaugeValue, broken, c.Name)
		if c.NotAfter.IsZero() {
			continue
		}
		send(ch, certificateNotAfterDesc, prometheus.GaugeValue, float64(c.NotAfter.Unix()), c.Name, c.Serial)
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	if !first.IsZero() {
		days := max(first.Sub(now), 0) / (24 * time.Hour)
		send(ch, firstExpiryDesc, prometheus.GaugeValue, float64(days))
	}
}
