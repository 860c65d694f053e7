package main

import (
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/tls/acme"
)

// issuing are the flags for certificates that are issued by ACME.
type issuing struct {
	options acme.Options
	all     bool
}

func (i *issuing) add(flags *pflag.FlagSet) {
	flags.StringVar(&i.options.Cache, "acme-cache", "", "folder for certificates that are issued by ACME, for Gateways with credentialName: acme://; empty turns ACME off. Giving one accepts the authority's terms of service")
	flags.StringVar(&i.options.Email, "acme-email", "", "address that the certificate authority may write to")
	flags.StringVar(&i.options.Directory, "acme-directory", "", "URL of the certificate authority's ACME directory; empty for Let's Encrypt")
	flags.StringVar(&i.options.Authorities, "acme-directory-ca", "", "PEM file by which the directory's own certificate is verified; empty for the system's roots")
	flags.BoolVar(&i.all, "acme-all", false, "have certificates issued for every HTTPS server that names none, too")
}

// manager returns what issues certificates, nil where nothing does.
func (i *issuing) manager(logger *slog.Logger) (*acme.Manager, error) {
	if i.options.Cache == "" {
		if i.all || i.options.Email != "" || i.options.Directory != "" || i.options.Authorities != "" {
			return nil, start.Misusef("--acme-cache DIR is missing: without a place for certificates each start would have them issued anew")
		}
		return nil, nil
	}
	i.options.Logger = logger
	return acme.New(i.options)
}
