package role

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/telemetry"
)

const (
	// CertificateBroken: a certificate's source cannot be used; its last good version, if
	// there was one, stays in force.
	CertificateBroken config.Reason = "CertificateBroken"
	// CertificateNotIssued: the certificate authority does not issue one.
	CertificateNotIssued config.Reason = "CertificateNotIssued"
	// CertificateExpires: a certificate is about to expire, or has.
	CertificateExpires config.Reason = "CertificateExpires"
)

// expiresSoon is how long before its end a certificate is told of.
const expiresSoon = 14 * 24 * time.Hour

// certificateConditions tell what is wrong with certificates apart from those of Secrets,
// whose defects are their objects'.
func (p *process) certificateConditions() []config.Condition {
	var list []config.Condition
	for _, problem := range p.certificates.Problems() {
		list = append(list, certificateCondition(config.Error, CertificateBroken, problem.Credential, problem.Err))
	}
	if p.o.TLS.Issuer != nil {
		for host, err := range p.o.TLS.Issuer.Problems() {
			list = append(list, certificateCondition(config.Error, CertificateNotIssued, "acme "+host,
				"the certificate authority does not issue it: "+err.Error()+"; it is tried again"))
		}
	}
	now := time.Now()
	for _, c := range p.certificates.Certificates() {
		switch left := c.NotAfter.Sub(now); {
		case c.NotAfter.IsZero() || left > expiresSoon || strings.HasPrefix(c.Name, "secret "):
		case left <= 0:
			list = append(list, certificateCondition(config.Error, CertificateExpires, c.Name,
				fmt.Sprintf("expired at %s: clients refuse it; renew it", c.NotAfter.UTC().Format(time.RFC3339))))
		default:
			list = append(list, certificateCondition(config.Warning, CertificateExpires, c.Name,
				fmt.Sprintf("expires at %s, in less than 14 days; renew it", c.NotAfter.UTC().Format(time.RFC3339))))
		}
	}
	return list
}

func certificateCondition(severity config.Severity, reason config.Reason, name, message string) config.Condition {
	return config.Condition{Severity: severity, Reason: reason, Object: config.Key{Kind: "Certificate", Name: name}, Message: message}
}

// certificateMetrics are what the metrics say of certificates.
func (p *process) certificateMetrics() []telemetry.Certificate {
	var list []telemetry.Certificate
	for _, c := range p.certificates.Certificates() {
		list = append(list, telemetry.Certificate{Name: c.Name, Serial: c.Serial, NotAfter: c.NotAfter, Broken: c.Err != ""})
	}
	return list
}

// certificateStatus is what the admin server shows of them.
func (p *process) certificateStatus() []admin.Certificate {
	var list []admin.Certificate
	for _, c := range p.certificates.Certificates() {
		list = append(list, admin.Certificate{
			Name: c.Name, Subject: c.Subject, Issuer: c.Issuer, Serial: c.Serial, Key: c.Key, Names: c.Names,
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, Chains: c.Chains, Error: c.Err,
		})
	}
	return list
}
