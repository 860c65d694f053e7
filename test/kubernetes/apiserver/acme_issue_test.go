package apiserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestACMEIssues: two replicas have a certificate issued by a real authority: the one that the
// Lease names orders it, the authority finds the other, both hand it out. When the first is
// killed the other renews it, with the same account.
func TestACMEIssues(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.pebble(t)
	ns := s.namespace(t)
	s.apply(t, fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: %[1]s}
spec:
  selector: {gateway: %[1]s}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop.example.com"], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["shop.example.com"], tls: {mode: SIMPLE, credentialName: "acme://"}}
`, ns))
	// The value that has the gateway keep certificates in Secrets lets it do so, too.
	kubeconfig := s.kubeconfig(t, s.gatewayToken(t, ns, "flags.acme-secrets=true"))
	start := func() *gateway {
		g := s.startGateway(t, ns, kubeconfig, "--acme-secrets", "--acme-directory="+p.directory, "--acme-directory-ca="+p.ca)
		g.awaitReady(t)
		return g
	}
	leader := start()
	await(t, "one orders", func() error { return mentions(leader.text(), "sluice-acme-issuer-") })
	other := start()
	p.at(other.address)
	first := sameSerial(t, "", leader, other)
	second := sameSerial(t, first, leader, other)
	leader.kill()
	sameSerial(t, second, other)
	for _, g := range []*gateway{leader, other} {
		if strings.Contains(g.text(), "(403)") {
			t.Errorf("the chart's rights do not suffice:\n%s", g.text())
		}
	}
	if log := p.text(); strings.Contains(log, "There are now 2 accounts") || !strings.Contains(log, "There are now 1 accounts") {
		t.Error("not one account was made")
	}
	secrets := s.kubectl(t, "", "get", "secrets", "-n", ns, "-l", "app.kubernetes.io/managed-by=sluice", "-o", `jsonpath={.items[*].metadata.annotations.sluice\.dev/acme-entry}`)
	if !strings.Contains(secrets, "shop.example.com") {
		t.Errorf("the Secrets are about %q", secrets)
	}
}

// sameSerial waits until gateways hand out the same certificate, and not the one before, and
// returns its serial number.
func sameSerial(t *testing.T, before string, gateways ...*gateway) (serial string) {
	t.Helper()
	// An order that fails once is tried again after a minute: the authority's first look may
	// come before it is told where the host is.
	awaitFor(t, 5*patience, "a new certificate is handed out by all", func() error {
		serial = ""
		for _, g := range gateways {
			c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", g.address+":443", &tls.Config{ServerName: "shop.example.com", InsecureSkipVerify: true})
			if err != nil {
				return err
			}
			now := c.ConnectionState().PeerCertificates[0].SerialNumber.String()
			c.Close()
			if now == before || serial != "" && now != serial {
				return errors.New("it is the one before, or they differ")
			}
			serial = now
		}
		return nil
	})
	return serial
}
