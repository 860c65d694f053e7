package istio_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"
)

// pair is a certificate that signs itself, with its key, in PEM.
type pair struct{ certificate, key string }

// pairs are two of them, made once.
var pairs = sync.OnceValue(func() [2]pair {
	now := time.Now()
	return [2]pair{newPair("one.example.com", now.Add(365*24*time.Hour)), newPair("two.example.com", now.Add(365*24*time.Hour))}
})

func newPair(name string, ends time.Time) pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: ends.Add(-10 * 365 * 24 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return pair{encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)}
}

// secretText writes a Secret of istio-system with the values, in the order given: key, value.
func secretText(name string, values ...string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: istio-system}\ndata:\n", name)
	for i := 0; i < len(values); i += 2 {
		fmt.Fprintf(&b, "  %s: %s\n", values[i], base64.StdEncoding.EncodeToString([]byte(values[i+1])))
	}
	return b.String()
}

// secret writes a Secret with a pair and its authority.
func (p pair) secret(name string) string {
	return secretText(name, "tls.crt", p.certificate, "tls.key", p.key, "ca.crt", p.certificate)
}

// originating is a gateway that sends requests on to a host with TLS, and the certificate of
// the Secret "client".
const originating = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs, namespace: istio-system}
spec:
  hosts: ["*"]
  gateways: [gw]
  http: [{route: [{destination: {host: x.org}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: x, namespace: istio-system}
spec: {hosts: [x.org], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}], resolution: DNS}
---
` + originatingRule

const originatingRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: x, namespace: istio-system}
spec: {host: x.org, trafficPolicy: {tls: {mode: MUTUAL, credentialName: client}}}
`

// TestPairs makes sure that the pairs differ, or the tests that exchange them show nothing.
func TestPairs(t *testing.T) {
	t.Parallel()
	if p := pairs(); p[0].key == p[1].key {
		t.Fatal("the two pairs are one")
	}
}
