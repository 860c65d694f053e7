package admin

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Certificate is the state of one certificate.
type Certificate struct {
	// Name is its source: "secret default/shop", "file /etc/certs/tls.crt", "mesh".
	Name string `json:"name"`
	// Subject and Issuer are RFC 2253 names, Serial is hexadecimal, Key is such as
	// "ECDSA-P-256". All are empty where no version was ever good.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Serial  string `json:"serial,omitempty"`
	Key     string `json:"key,omitempty"`
	// Names are its subject alternative names.
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Chains are those that present it.
	Chains []string `json:"chains,omitempty"`
	// Error is why its newest version is not in force; empty where it is.
	Error string `json:"error,omitempty"`
}

// certificates shows the certificates in force, and what is wrong with those that are not.
func certificates(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var list []Certificate
		if o.Certificates != nil {
			list = o.Certificates()
		}
		if wantsJSON(r) {
			writeJSON(w, append([]Certificate{}, list...))
			return
		}
		columns(w, func(t io.Writer) {
			fmt.Fprintln(t, "SOURCE\tSUBJECT\tKEY\tNOT BEFORE\tNOT AFTER\tSTATE")
			for _, c := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, cmp.Or(c.Subject, "-"), cmp.Or(c.Key, "-"), day(c.NotBefore), day(c.NotAfter), c.state(time.Now()))
			}
		})
	}
}

func (c *Certificate) state(now time.Time) string {
	switch {
	case c.NotAfter.IsZero():
		return "missing: " + c.Error
	case c.Error != "":
		return "an older version serves: " + c.Error
	case now.After(c.NotAfter):
		return "expired"
	case now.Before(c.NotBefore):
		return "not valid yet"
	}
	return "valid"
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
