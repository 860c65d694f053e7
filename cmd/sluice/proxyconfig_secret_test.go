package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// secureSecret returns a Secret of testdata/secure.
func secureSecret(t *testing.T, name string) *router.Secret {
	t.Helper()
	src, err := readSource([]string{"testdata/secure"})
	if err != nil {
		t.Fatal(err)
	}
	view, err := (&sourceFlags{}).view()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range src.compile(view).Spec.Secrets {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no Secret %s", name)
	return nil
}

// TestSecretStates goes through everything that a certificate can be.
func TestSecretStates(t *testing.T) {
	t.Parallel()
	shop, partners := secureSecret(t, "istio-system/shop"), secureSecret(t, "istio-system/partners")
	folder := t.TempDir()
	write := func(name string, text []byte) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	certificate, key, other := write("tls.crt", shop.Certificate), write("tls.key", shop.Key), write("other.key", partners.Key)
	secret := func(name string) router.Credential { return router.Credential{Secret: name} }
	file := func(key string) router.Credential {
		return router.Credential{CertificateFile: certificate, KeyFile: key}
	}
	for name, c := range map[string]struct {
		tls  router.ServerTLS
		want []string
	}{
		"a Secret":        {router.ServerTLS{Certificates: []router.Credential{secret(shop.Name)}}, []string{"Secret Cert Chain CN=shop.example.com true"}},
		"expired":         {router.ServerTLS{Certificates: []router.Credential{secret(partners.Name)}}, []string{"Secret Cert Chain CN=old.example.com false: expired"}},
		"no Secret":       {router.ServerTLS{Certificates: []router.Credential{secret("a/b")}}, []string{"Secret Cert Chain - missing"}},
		"not for its key": {router.ServerTLS{Certificates: []router.Credential{secret("x/mixed")}}, []string{"Secret Cert Chain CN=shop.example.com false: broken: private key does not match public key"}},
		"garbage":         {router.ServerTLS{Certificates: []router.Credential{secret("x/garbage")}}, []string{"Secret Cert Chain - broken: holds no certificate in PEM"}},
		"files":           {router.ServerTLS{Certificates: []router.Credential{file(key)}}, []string{"File Cert Chain CN=shop.example.com true"}},
		"another key":     {router.ServerTLS{Certificates: []router.Credential{file(other)}}, []string{"File Cert Chain CN=shop.example.com false: broken: private key does not match public key"}},
		"no key file":     {router.ServerTLS{Certificates: []router.Credential{file("/no/such.key")}}, []string{"File Cert Chain - not on this machine: no such file or directory"}},
		"ACME":            {router.ServerTLS{Certificates: []router.Credential{{ACME: true, Hosts: []string{"a.com"}}}}, []string{"ACME Cert Chain - issued when asked for"}},
		"the mesh": {
			router.ServerTLS{Certificates: []router.Credential{{Mesh: true}}, ClientAuth: router.RequireClientCertificate, Authorities: router.Authorities{Mesh: true}},
			[]string{"Mesh Cert Chain - unknown", "Mesh CA - unknown"},
		},
		"the second authorities": {
			router.ServerTLS{ClientAuth: router.RequireClientCertificate, Authorities: router.Authorities{Secrets: []string{"a/b", partners.Name}}},
			[]string{"Secret CA CN=Shop CA true"},
		},
		"no authorities": {
			router.ServerTLS{ClientAuth: router.OptionalClientCertificate, Authorities: router.Authorities{Secrets: []string{"a/b", "a/b-cacert"}}},
			[]string{"Secret CA - missing"},
		},
		"authorities in a file": {
			router.ServerTLS{ClientAuth: router.RequireClientCertificate, Authorities: router.Authorities{CAFile: certificate}},
			[]string{"File CA CN=shop.example.com true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := proxyState{spec: &router.Spec{
				Listeners: []*router.Listener{{Chains: []*router.Chain{{Name: "chain", TLS: &c.tls}}}},
				Secrets: []*router.Secret{shop, partners,
					{Name: "x/mixed", Certificate: shop.Certificate, Key: partners.Key}, {Name: "x/garbage", Certificate: []byte("x")}},
			}}
			var got []string
			for _, r := range secretRows(state, filter{}) {
				cells := r.lines()[0]
				got = append(got, strings.Join([]string{r.Source, r.Type, cells[3], cells[6]}, " "))
				if cells[7] != "chain" {
					t.Errorf("used by %q", cells[7])
				}
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSecretsOfClusters(t *testing.T) {
	t.Parallel()
	shop := secureSecret(t, "istio-system/shop")
	client := &router.ClientTLS{Certificate: &router.Credential{Secret: shop.Name}, Authorities: router.Authorities{CAFile: "/no/such/ca.pem"}}
	rows := secretRows(proxyState{spec: &router.Spec{
		Clusters: []*router.Cluster{{Name: "a", TLS: client}, {Name: "b", TLS: client}, {Name: "c"}, {Name: "d", TLS: &router.ClientTLS{SkipVerify: true, Authorities: client.Authorities}}},
		Secrets:  []*router.Secret{shop},
	}}, filter{})
	if len(rows) != 2 || rows[0].lines()[0][7] != "a +1" || rows[1].Type != typeCA || len(rows[1].UsedBy) != 2 {
		t.Errorf("got %+v", rows)
	}
}

func TestNotValidYet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := secretRow{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}
	if r.judge(now); r.Valid || r.State != "not valid yet" {
		t.Errorf("got %+v", r)
	}
}
