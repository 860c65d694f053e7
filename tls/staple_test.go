package tls

import (
	"bytes"
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// An OCSP staple is presented while it holds, and left out with a word where it does not.
func TestStaple(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	middle := root.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "middle"}, IsCA: true})
	leaf, other := middle.host(t, "shop.example.com"), middle.host(t, "shop.example.com")
	soon := time.Now().Add(time.Hour)
	response := func(of, by *pair, change func(*ocsp.Response)) []byte {
		template := ocsp.Response{Status: ocsp.Good, SerialNumber: of.cert.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: soon}
		if change != nil {
			change(&template)
		}
		der, err := ocsp.CreateResponse(by.cert, by.cert, template, by.key)
		must(t, err)
		return der
	}
	good := response(leaf, middle, nil)
	for _, tt := range []struct {
		name   string
		staple []byte
		want   string
	}{
		{"good", good, ""},
		{"none", nil, ""},
		{"of another", response(other, middle, nil), "does not belong to the certificate"},
		{"by another", response(leaf, root, nil), "does not belong to the certificate"},
		{"nonsense", []byte("staple"), "does not belong to the certificate"},
		{"revoked", response(leaf, middle, func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, time.Now() }), "does not call the certificate good"},
		{"unknown", response(leaf, middle, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), "does not call the certificate good"},
		{"expired", response(leaf, middle, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(-time.Second) }), "it held until"},
		{"early", response(leaf, middle, func(r *ocsp.Response) { r.ThisUpdate = time.Now().Add(time.Minute) }), "it holds from"},
		{"endless", response(leaf, middle, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), "until when it holds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, Options{})
			settings, secret := simple("shop"), secretOf("shop", leaf)
			secret.OCSPStaple = tt.staple
			s.Update(serverSpec(settings, secret))
			r := s.shake(settings, &ctls.Config{RootCAs: pool(root), ServerName: "shop.example.com"})
			expect(t, r.err(), "")
			want := tt.staple
			if tt.want != "" {
				want = nil
			}
			if !bytes.Equal(r.client.OCSPResponse, want) {
				t.Fatalf("presented %d bytes", len(r.client.OCSPResponse))
			}
			problems := s.Problems()
			if (tt.want != "") != (len(problems) == 1) || tt.want != "" && !strings.Contains(problems[0].Err, tt.want) {
				t.Fatalf("problems are %+v", problems)
			}
		})
	}

	// It runs out while it is served.
	var offset atomic.Int64
	s := newStore(t, Options{Poll: time.Millisecond, Clock: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	settings, secret := simple("shop"), secretOf("shop", leaf)
	secret.OCSPStaple = good
	s.Update(serverSpec(settings, secret))
	stapled := func() bool {
		r := s.shake(settings, &ctls.Config{InsecureSkipVerify: true, ServerName: "shop.example.com"})
		expect(t, r.err(), "")
		return len(r.client.OCSPResponse) > 0
	}
	if !stapled() {
		t.Fatal("no staple is presented")
	}
	offset.Store(int64(2 * time.Hour))
	eventually(t, "the staple to go", func() bool { return !stapled() })
	eventually(t, "the problem", func() bool {
		p := s.Problems()
		return len(p) == 1 && strings.Contains(p[0].Err, "it held until")
	})

	// One that holds only from a little later, by our clock, is presented then.
	offset.Store(0)
	settings, secret = simple("early"), secretOf("early", leaf)
	secret.OCSPStaple = response(leaf, middle, func(r *ocsp.Response) { r.ThisUpdate = time.Now().Add(10 * time.Minute) })
	s.Update(serverSpec(settings, secret))
	if stapled() {
		t.Fatal("an early staple is presented")
	}
	offset.Store(int64(15 * time.Minute))
	eventually(t, "the staple to come", stapled)
	eventually(t, "the problem to go", func() bool { return len(s.Problems()) == 0 })

	// It runs out too where what is in the Secret by then cannot be used.
	offset.Store(0)
	settings, secret = simple("other"), secretOf("other", leaf)
	secret.OCSPStaple = good
	s.Update(serverSpec(settings, secret))
	broken := secretOf("other", leaf)
	broken.Key = other.keyPEM()
	s.Update(serverSpec(settings, broken))
	if !stapled() {
		t.Fatal("no staple is presented")
	}
	offset.Store(int64(2 * time.Hour))
	eventually(t, "the staple of the last good certificate to go", func() bool { return !stapled() })
}
