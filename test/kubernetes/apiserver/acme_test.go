package apiserver

import (
	"fmt"
	"strings"
	"testing"
)

// TestACMESecrets: of two replicas one issues, as the Lease says; what they share is in Secrets that
// the chart's permissions let them write; when the one is killed the other issues.
func TestACMESecrets(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.apply(t, fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: %[1]s}
spec:
  selector: {gateway: %[1]s}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["shop.example.com"]
    tls: {mode: SIMPLE, credentialName: "acme://"}
`, ns))
	token := s.gatewayToken(t, ns, "rbac.acme=true")
	// Nobody answers at port 1: the account's key is made before the authority is asked.
	flags := []string{"--acme-secrets", "--acme-directory=https://127.0.0.1:1/dir"}
	a := s.startGateway(t, ns, s.kubeconfig(t, token), flags...)
	a.awaitReady(t)
	entries := func() (string, error) {
		return s.tryKubectl("", "get", "secrets", "-n", ns, "-l", "app.kubernetes.io/managed-by=sluice", "-o", `jsonpath={range .items[*]}{.metadata.uid} {.type} {.metadata.annotations.sluice\.dev/acme-entry}{"\n"}{end}`)
	}
	holder := func() (string, error) {
		return s.tryKubectl("", "get", "leases", "-n", ns, "-o", `jsonpath={range .items[*]}{.metadata.name}={.spec.holderIdentity}{"\n"}{end}`)
	}
	issuer := func() (string, error) {
		list, err := holder()
		for line := range strings.Lines(list) {
			if name, who, _ := strings.Cut(strings.TrimSpace(line), "="); strings.HasPrefix(name, "sluice-acme-issuer-") && err == nil {
				return who, nil
			}
		}
		return "", fmt.Errorf("no issuer among %q: %v", list, err)
	}
	var account, first string
	await(t, "the account is made", func() (err error) {
		if account, err = entries(); err == nil && !strings.Contains(account, "Opaque acme_account+key") {
			err = fmt.Errorf("the Secrets are %q", account)
		}
		return err
	})
	await(t, "one issues", func() (err error) {
		first, err = issuer()
		return err
	})
	b := s.startGateway(t, ns, s.kubeconfig(t, token), flags...)
	b.awaitReady(t)
	a.kill()
	await(t, "the other issues", func() error {
		who, err := issuer()
		if err == nil && (who == first || who == "") {
			err = fmt.Errorf("it is %q still", who)
		}
		return err
	})
	await(t, "the other's order fails at the authority", func() error {
		if !strings.Contains(b.text(), "certificate could not be had") {
			return fmt.Errorf("its log does not say so")
		}
		return nil
	})
	if after, err := entries(); err != nil || after != account {
		t.Errorf("there are other Secrets now: %q, %q, %v", account, after, err)
	}
}
