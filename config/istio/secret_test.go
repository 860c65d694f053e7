package istio_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

var clientSecret = config.Key{Kind: "Secret", Namespace: "istio-system", Name: "client"}

// secretSteps changes objects one step after the other, and tells of the Spec's Secrets and of
// the conditions.
type secretSteps struct {
	t        *testing.T
	now      time.Time
	compiler *istio.Compiler
	result   istio.Result
}

func newSecretSteps(t *testing.T, objects string) *secretSteps {
	s := &secretSteps{t: t, now: time.Now()}
	s.compiler = istio.NewCompiler(istio.Options{Labels: map[string]string{"istio": "ingressgateway"}, Now: func() time.Time { return s.now }})
	s.set(objects)
	return s
}

func (s *secretSteps) set(objects string) {
	s.result = s.compiler.Apply(config.Delta{Set: parse(s.t, objects)})
}

func (s *secretSteps) remove(keys ...config.Key) {
	s.result = s.compiler.Apply(config.Delta{Removed: keys})
}

// want checks what the Secret "client" holds in the Spec, nil for no such Secret, and the
// reasons of the conditions.
func (s *secretSteps) want(p *pair, reasons ...config.Reason) {
	s.t.Helper()
	var got []config.Reason
	for _, c := range s.result.Conditions {
		got = append(got, c.Reason)
	}
	if !slices.Equal(got, reasons) {
		s.t.Errorf("conditions %v, want reasons %v", s.result.Conditions, reasons)
	}
	switch secrets := s.result.Spec.Secrets; {
	case p == nil && len(secrets) == 0:
	case p == nil || len(secrets) != 1:
		s.t.Errorf("%d Secrets, want one: %v", len(secrets), p != nil)
	case string(secrets[0].Certificate) != p.certificate || string(secrets[0].Key) != p.key:
		s.t.Error("the Spec has another certificate or key")
	}
}

// TestSecretRotation exchanges the certificate of a Secret: nothing else of the Spec is
// another one than before.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, originating+p[0].secret("client")+p[1].secret("unnamed"))
	s.want(&p[0])
	before := s.result.Spec
	s.set(p[1].secret("client"))
	s.want(&p[1])
	if s.result.Spec == before || s.result.Spec.Secrets[0] == before.Secrets[0] {
		t.Error("the Spec, or its Secret, is the one of before")
	}
	if a, b := parts(before), parts(s.result.Spec); !maps.Equal(a, b) {
		t.Errorf("parts changed: %v, before %v", b, a)
	}
	if &before.Clusters[0].TLS.Authorities != &s.result.Spec.Clusters[0].TLS.Authorities {
		t.Error("the cluster's TLS is another one")
	}
}

// TestClientTLSKept changes a cluster's endpoints and pool: what was made of its TLS may stay.
func TestClientTLSKept(t *testing.T) {
	t.Parallel()
	s := newSecretSteps(t, originating+pairs()[0].secret("client"))
	before := s.result.Spec.Clusters[0]
	s.set(strings.Replace(originating, "targetPort: 443", "targetPort: 8443", 1))
	s.set(strings.Replace(originatingRule, "trafficPolicy: {", "trafficPolicy: {proxyProtocol: {}, ", 1))
	after := s.result.Spec.Clusters[0]
	if after == before || after.Endpoints[0].Address == before.Endpoints[0].Address || after.ProxyProtocol == 0 {
		t.Fatalf("the cluster is as before: %+v", after)
	}
	if after.TLS != before.TLS {
		t.Error("the TLS is another one")
	}
	s.set(strings.Replace(originatingRule, "credentialName: client", "credentialName: client, sni: y.org", 1))
	if now := s.result.Spec.Clusters[0].TLS; now == before.TLS || now.ServerName != "y.org" {
		t.Errorf("the new name did not arrive: %+v", now)
	}
}

// TestSecretUnchanged writes a Secret again with other labels, and one that nobody names: the
// Spec stays the same.
func TestSecretUnchanged(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, originating+p[0].secret("client"))
	before := s.result.Spec
	s.set(strings.Replace(p[0].secret("client"), "name: client,", "name: client, labels: {a: b},", 1))
	if s.want(&p[0]); s.result.Spec != before {
		t.Error("labels made another Spec")
	}
	s.set(p[1].secret("unnamed"))
	if s.want(&p[0]); s.result.Spec != before {
		t.Error("a Secret that nobody names made another Spec")
	}
}

// TestSecretLastGood breaks a Secret, mends it, and breaks one that was never good.
func TestSecretLastGood(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, originating+p[0].secret("client"))
	mixed := pair{p[1].certificate, p[0].key}
	s.set(mixed.secret("client"))
	s.want(&p[0], istio.BadCertificate)
	before := s.result.Spec
	s.set(mixed.secret("client"))
	if s.want(&p[0], istio.BadCertificate); s.result.Spec != before {
		t.Error("a broken Secret made another Spec")
	}
	s.set(p[1].secret("client"))
	s.want(&p[1])

	s = newSecretSteps(t, originating+mixed.secret("client"))
	s.want(nil, istio.SecretNotFound, istio.BadCertificate)
	s.set(p[1].secret("client"))
	s.want(&p[1])
}

// TestSecretGone removes a Secret in use: it serves on for as long as something names it.
func TestSecretGone(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, originating+p[0].secret("client"))
	before := s.result.Spec
	s.remove(clientSecret)
	if s.want(&p[0], istio.SecretGone); s.result.Spec != before {
		t.Error("a removed Secret made another Spec")
	}
	s.set(p[1].secret("client"))
	s.want(&p[1])
	s.remove(clientSecret)
	s.set(strings.Replace(originatingRule, "MUTUAL, credentialName: client", "SIMPLE", 1))
	s.want(nil)
	s.set(originatingRule)
	s.want(nil, istio.SecretNotFound)
	s.set(p[0].secret("client"))
	s.want(&p[0])
}

// TestSecretGoneUnnamed removes a Secret that nothing names, and one together with what names it.
func TestSecretGoneUnnamed(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, p[0].secret("client"))
	s.remove(clientSecret)
	s.want(nil)
	s.set(originating)
	s.want(nil, istio.SecretNotFound)
	s.set(p[0].secret("client"))
	s.want(&p[0])
	s.remove(clientSecret, config.Key{Group: "networking.istio.io", Kind: "DestinationRule", Namespace: "istio-system", Name: "x"})
	s.want(nil)
	s.set(originatingRule)
	s.want(nil, istio.SecretNotFound)
}

// TestSecretExpiry lets time pass over a certificate in use. What is said changes at the next
// change of whatever object.
func TestSecretExpiry(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(100 * 24 * time.Hour)
	p := newPair("short.example.com", ends)
	s := newSecretSteps(t, originating+p.secret("client")+p.secret("unnamed"))
	before := s.result.Spec
	for _, step := range []struct {
		left time.Duration
		want []config.Reason
	}{
		{15 * 24 * time.Hour, nil},
		{14*24*time.Hour - time.Minute, []config.Reason{istio.CertificateExpiring}},
		{time.Minute, []config.Reason{istio.CertificateExpiring}},
		{-time.Minute, []config.Reason{istio.CertificateExpired}},
	} {
		s.now = ends.Add(-step.left)
		s.remove()
		if s.want(&p, step.want...); s.result.Spec != before {
			t.Errorf("%v before the end there is another Spec", step.left)
		}
	}
	fresh := pairs()[0]
	s.set(fresh.secret("client"))
	s.want(&fresh)
}

// TestSecretOfGateway brings, exchanges and takes away the certificate of a Gateway's server,
// which is judged anew each time that it is another Secret to it.
func TestSecretOfGateway(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: MUTUAL, credentialName: client}}]
`)
	s.want(nil, istio.SecretNotFound, istio.SecretNotFound)
	s.set(secretText("client", "tls.crt", p[0].certificate, "tls.key", p[0].key))
	s.want(&p[0], istio.SecretNotFound)
	s.set(p[0].secret("client"))
	s.want(&p[0])
	before := s.result.Spec
	s.set(p[1].secret("client"))
	s.want(&p[1])
	if a, b := parts(before), parts(s.result.Spec); !maps.Equal(a, b) || before.Listeners[0].Chains[0] != s.result.Spec.Listeners[0].Chains[0] {
		t.Errorf("parts changed: %v, before %v", b, a)
	}
	s.remove(clientSecret)
	s.want(&p[1], istio.SecretGone)
	s.remove(config.Key{Group: "networking.istio.io", Kind: "Gateway", Namespace: "default", Name: "gw"})
	s.want(nil)
}

// TestSecretOfNoUse: of a Secret that holds nothing of use something else is said than of one
// that is not there, whichever of it and the Gateway comes first.
func TestSecretOfNoUse(t *testing.T) {
	t.Parallel()
	const server = `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: client}}]
`
	const head = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: client, namespace: istio-system}\n"
	for _, data := range []string{"data: {tls.crt: eHh4, tls.key: eHh4}\n", "data: {password: eHh4}\n"} {
		s := newSecretSteps(t, server)
		wants := func(said string) {
			t.Helper()
			if all := fmt.Sprint(s.result.Conditions); !strings.Contains(all, said) {
				t.Errorf("%s: %s, want %q", data, all, said)
			}
		}
		wants("there is no Secret istio-system/client")
		s.set(head + data)
		wants("holds no certificate that can be read")
		s.remove(clientSecret)
		wants("there is no Secret istio-system/client")
	}
}

// TestSecretsOfNamespace: a Secret of that name elsewhere is none of this proxy's.
func TestSecretsOfNamespace(t *testing.T) {
	t.Parallel()
	p := pairs()
	s := newSecretSteps(t, originating+strings.Replace(p[0].secret("client"), "istio-system", "default", 1))
	s.want(nil, istio.SecretNotFound)
}

// TestSecretsStaySecret looks for a value of a Secret in all that is written of it.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	p := pairs()
	const value = "hunter2hunter2"
	for _, key := range []string{"cert", "key", "cacert", "crl", "tls.crt", "tls.key", "ca.crt", "ca.crl", "password"} {
		values := map[string]string{"cert": p[0].certificate, "key": p[0].key, "tls.crt": p[0].certificate, "tls.key": p[0].key, "ca.crt": p[0].certificate}
		values[key] = value
		text := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: client, namespace: istio-system}\ntype: kubernetes.io/tls\nstringData:\n"
		for _, k := range slices.Sorted(maps.Keys(values)) {
			text += "  " + k + ": |\n    " + strings.ReplaceAll(values[k], "\n", "\n    ") + "\n"
		}
		for _, form := range []string{text, strings.Replace(text, "stringData", "data", 1), strings.Replace(text, key+": |\n    "+value, key+": ["+value+"]", 1)} {
			s := newSecretSteps(t, originating+form)
			if out := fmt.Sprintf("%v %+v", s.result.Conditions, s.result.Conditions); strings.Contains(out, value) || strings.Contains(out, "PRIVATE KEY-----\nM") {
				t.Errorf("%s: conditions tell it: %s", key, out)
			}
		}
	}
	s := newSecretSteps(t, originating+p[0].secret("client"))
	secret := s.result.Spec.Secrets[0]
	marshalled, err := json.Marshal(s.result.Spec)
	if err != nil {
		t.Fatal(err)
	}
	inside := strings.Split(p[0].key, "\n")[1]
	for _, out := range []string{fmt.Sprint(*secret), fmt.Sprintf("%+v %#v %s %q", *secret, *secret, *secret, *secret), string(marshalled)} {
		if strings.Contains(out, inside) || strings.Contains(out, fmt.Sprint([]byte(p[0].key))[1:40]) {
			t.Errorf("the key is printed: %s", out)
		}
	}
}

// TestSecretsOfOtherProxies: rules that are not for this proxy need no Secret here.
func TestSecretsOfOtherProxies(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"elsewhere":  {"namespace: istio-system}\nspec: {host: x.org", "namespace: default}\nspec: {host: x.org, exportTo: [.]"},
		"a workload": {"spec: {host: x.org", "spec: {host: x.org, workloadSelector: {matchLabels: {app: other}}"},
		"plaintext":  {"mode: MUTUAL", "mode: DISABLE"},
		"the mesh's": {"mode: MUTUAL", "mode: ISTIO_MUTUAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecretSteps(t, strings.Replace(originating, change[0], change[1], 1))
			for _, c := range s.result.Conditions {
				if c.Reason == istio.SecretNotFound {
					t.Error(c)
				}
			}
		})
	}
}

// FuzzSecret reads Secrets of all kinds: nothing of a value may get into a condition, and what
// gets into a Spec must be what the router can build.
func FuzzSecret(f *testing.F) {
	p := pairs()
	f.Add("kubernetes.io/tls", "tls.crt", []byte(p[0].certificate), "tls.key", []byte(p[0].key), false)
	f.Add("", "cert", []byte(p[0].certificate), "key", []byte(p[1].key), true)
	f.Add("Opaque", "cacert", []byte(p[0].certificate), "crl", []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), false)
	f.Add("helm.sh/release.v1", "cert", []byte("x"), "key", []byte("x"), false)
	f.Fuzz(func(t *testing.T, kind, key1 string, value1 []byte, key2 string, value2 []byte, plain bool) {
		object := map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": map[string]string{"name": "client", "namespace": "istio-system"},
			"data": map[string][]byte{key1: value1, key2: value2},
		}
		if plain {
			object["stringData"] = map[string]string{key1: string(value1)}
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Skip()
		}
		objects, _ := config.ParseObjects(config.Document{Line: 1, Text: text}, "fuzz.yaml")
		compiler := istio.NewCompiler(istio.Options{Labels: map[string]string{"istio": "ingressgateway"}})
		result := compiler.Apply(config.Delta{Set: append(parse(t, originating), objects...)})
		if _, problems := router.Build(result.Spec, nil); len(problems) > 0 {
			t.Error(problems)
		}
		said := fmt.Sprint(result.Conditions)
		for _, value := range [][]byte{value1, value2} {
			if len(value) > 40 && strings.Contains(said, string(value)) && !strings.Contains(key1+key2, string(value)) {
				t.Errorf("a condition tells a value: %s", said)
			}
		}
	})
}
