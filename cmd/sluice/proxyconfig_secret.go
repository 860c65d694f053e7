package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

// secretRow is a certificate, or the authorities of a peer's, and where it comes from. It
// holds nothing of a key.
type secretRow struct {
	// Name is "namespace/name" of a Secret, a file's path, or the hosts of ACME; empty of
	// the mesh's own.
	Name string `json:"name,omitempty"`
	// Source is "Secret", "File", "Mesh" or "ACME".
	Source string `json:"source"`
	// Type is "Cert Chain" or "CA", as istioctl has it.
	Type string `json:"type"`
	// Subject and what follows are the first certificate's.
	Subject   string    `json:"subject,omitempty"`
	Names     []string  `json:"names,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Valid     bool      `json:"valid"`
	// State says why it is not valid, or that nothing is known.
	State string `json:"state,omitempty"`
	// UsedBy are chains of listeners, and clusters.
	UsedBy []string `json:"usedBy"`
}

const (
	typeChain = "Cert Chain"
	typeCA    = "CA"
)

func secretRows(state proxyState, f filter) []secretRow {
	i := inventory{state: state, now: time.Now(), secrets: map[string]*router.Secret{}, rows: map[[3]string]*secretRow{}}
	for _, s := range state.spec.Secrets {
		i.secrets[s.Name] = s
	}
	for _, l := range state.spec.Listeners {
		for _, c := range l.Chains {
			if c.TLS == nil {
				continue
			}
			for _, certificate := range c.TLS.Certificates {
				i.useCredential(certificate, c.Name)
			}
			if c.TLS.ClientAuth != router.NoClientCertificate {
				i.useAuthorities(c.TLS.Authorities, c.Name)
			}
		}
	}
	for _, c := range state.spec.Clusters {
		if c.TLS == nil {
			continue
		}
		if c.TLS.Certificate != nil {
			i.useCredential(*c.TLS.Certificate, c.Name)
		}
		if !c.TLS.SkipVerify {
			i.useAuthorities(c.TLS.Authorities, c.Name)
		}
	}
	var rows []secretRow
	for _, r := range i.rows {
		if f.takesName(r.Name) {
			rows = append(rows, *r)
		}
	}
	slices.SortFunc(rows, func(a, b secretRow) int {
		return cmp.Or(-strings.Compare(a.Source, b.Source), strings.Compare(a.Name, b.Name), -strings.Compare(a.Type, b.Type))
	})
	return rows
}

// inventory collects what certificates a proxy's configuration names.
type inventory struct {
	state   proxyState
	now     time.Time
	secrets map[string]*router.Secret
	// rows are by source, name and type.
	rows map[[3]string]*secretRow
}

// use notes a user of a row, which fill makes where it is new.
func (i *inventory) use(source, name, kind, user string, fill func(*secretRow)) {
	key := [3]string{source, name, kind}
	r := i.rows[key]
	if r == nil {
		r = &secretRow{Name: name, Source: source, Type: kind, UsedBy: []string{}}
		i.rows[key] = r
		fill(r)
	}
	if !slices.Contains(r.UsedBy, user) {
		r.UsedBy = append(r.UsedBy, user)
	}
}

func (i *inventory) useCredential(c router.Credential, user string) {
	switch {
	case c.Secret != "":
		i.use("Secret", c.Secret, typeChain, user, func(r *secretRow) {
			if s := i.secrets[c.Secret]; s != nil {
				i.read(r, s.Certificate, s.Key)
			} else {
				r.State = "missing"
			}
			i.overlay(r, "secret "+c.Secret)
		})
	case c.Mesh:
		i.use("Mesh", "", typeChain, user, func(r *secretRow) {
			r.State = "unknown"
			i.overlay(r, "mesh")
		})
	case c.ACME:
		i.use("ACME", strings.Join(c.Hosts, ","), typeChain, user, func(r *secretRow) { r.State = "issued when asked for" })
	default:
		i.use("File", c.CertificateFile, typeChain, user, func(r *secretRow) {
			i.readFile(r, c.CertificateFile, c.KeyFile)
			i.overlay(r, "file "+c.CertificateFile)
		})
	}
}

func (i *inventory) useAuthorities(a router.Authorities, user string) {
	switch {
	case a.Mesh:
		i.use("Mesh", "", typeCA, user, func(r *secretRow) { r.State = "unknown" })
	case len(a.Secrets) > 0:
		at := max(0, slices.IndexFunc(a.Secrets, func(name string) bool { return i.secrets[name] != nil && len(i.secrets[name].CA) > 0 }))
		i.use("Secret", a.Secrets[at], typeCA, user, func(r *secretRow) {
			if s := i.secrets[a.Secrets[at]]; s != nil && len(s.CA) > 0 {
				i.read(r, s.CA, nil)
			} else {
				r.State = "missing"
			}
		})
	case a.CAFile != "":
		i.use("File", a.CAFile, typeCA, user, func(r *secretRow) { i.readFile(r, a.CAFile, "") })
	}
}

// overlay puts what a live proxy says of a certificate in force in the place of what was
// found out here.
func (i *inventory) overlay(r *secretRow, name string) {
	at := slices.IndexFunc(i.state.certificates, func(c admin.Certificate) bool { return c.Name == name })
	if at < 0 {
		return
	}
	c := i.state.certificates[at]
	r.Subject, r.Names, r.Serial, r.NotBefore, r.NotAfter = c.Subject, c.Names, c.Serial, c.NotBefore, c.NotAfter
	r.Valid, r.State = false, ""
	switch {
	case c.NotAfter.IsZero():
		r.State = c.Error
	case c.Error != "":
		r.judge(i.now)
		r.State = "an older version serves: " + c.Error
	default:
		r.judge(i.now)
	}
}

// readFile reads a certificate from this machine, unless it is that of a live proxy.
func (i *inventory) readFile(r *secretRow, name, key string) {
	if i.state.upstreams != nil {
		r.State = "unknown"
		return
	}
	text, err := os.ReadFile(name)
	if err == nil {
		var secret router.Sensitive
		if key != "" {
			secret, err = os.ReadFile(key)
		}
		if err == nil {
			i.read(r, text, secret)
		}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		r.State = "not on this machine: " + path.Err.Error()
	}
}

// read fills in what the first certificate in PEM says, and whether a key fits; none is
// known of live proxies.
func (i *inventory) read(r *secretRow, text []byte, key router.Sensitive) {
	leaf, err := firstCertificate(text)
	if err != nil {
		r.State = "broken: " + err.Error()
		return
	}
	r.Subject = cmp.Or(leaf.Subject.String(), "-")
	r.Names = append(slices.Clone(leaf.DNSNames), uris(leaf)...)
	r.Serial = fmt.Sprintf("%x", leaf.SerialNumber)
	r.NotBefore, r.NotAfter = leaf.NotBefore, leaf.NotAfter
	if len(key) > 0 {
		if _, err := tls.X509KeyPair(text, key); err != nil {
			r.State = "broken: " + strings.TrimPrefix(err.Error(), "tls: ")
			return
		}
	}
	r.judge(i.now)
}

func uris(c *x509.Certificate) (names []string) {
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}

func firstCertificate(text []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(text)
		switch {
		case block == nil:
			return nil, errors.New("holds no certificate in PEM")
		case block.Type == "CERTIFICATE":
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}

// judge says whether the certificate holds now.
func (r *secretRow) judge(now time.Time) {
	switch {
	case now.After(r.NotAfter):
		r.State = "expired"
	case now.Before(r.NotBefore):
		r.State = "not valid yet"
	default:
		r.Valid = true
	}
}

func (r secretRow) lines() [][]string {
	valid := "true"
	if !r.Valid {
		valid = "false"
	}
	if r.State != "" {
		valid += ": " + r.State
	}
	if !r.Valid && r.NotAfter.IsZero() {
		valid = r.State
	}
	users := r.UsedBy
	if len(users) > 0 {
		users = users[:1:1]
		if more := len(r.UsedBy) - 1; more > 0 {
			users = append(users, fmt.Sprintf("+%d", more))
		}
	}
	return [][]string{{
		orDash(r.Name), r.Source, r.Type, orDash(r.Subject), dateText(r.NotBefore), dateText(r.NotAfter), valid, orDash(strings.Join(users, " ")),
	}}
}

func dateText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
