package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/acme/autocert"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/discovery/kube"
	"github.com/sluicegate/sluice/tls/acme"
)

// issuing are the flags for certificates that are issued by ACME.
type issuing struct {
	options acme.Options
	secrets bool
	all     bool
}

func (i *issuing) add(flags *pflag.FlagSet) {
	flags.StringVar(&i.options.Cache, "acme-cache", "", "folder for certificates that are issued by ACME, for Gateways with credentialName: acme://; empty turns ACME off. Giving one accepts the authority's terms of service")
	flags.BoolVar(&i.secrets, "acme-secrets", false, "keep certificates that are issued by ACME in Secrets of the gateway's namespace, instead of --acme-cache: all replicas have them, and one of them orders. It accepts the authority's terms of service")
	flags.StringVar(&i.options.Email, "acme-email", "", "address that the certificate authority may write to")
	flags.StringVar(&i.options.Directory, "acme-directory", "", "URL of the certificate authority's ACME directory; empty for Let's Encrypt")
	flags.StringVar(&i.options.Authorities, "acme-directory-ca", "", "PEM file by which the directory's own certificate is verified; empty for the system's roots")
	flags.BoolVar(&i.all, "acme-all", false, "have certificates issued for every HTTPS server that names none, too")
}

// check reports what makes no sense in them.
func (i *issuing) check(inCluster bool) error {
	switch {
	case i.secrets && !inCluster:
		return start.Misusef("--acme-secrets has no effect without --kube: --acme-cache DIR keeps certificates in a folder")
	case i.secrets && i.options.Cache != "":
		return start.Misusef("--acme-cache and --acme-secrets exclude each other: certificates are kept in a folder, or in Secrets")
	case (i.secrets || i.options.Cache != "") && !isDirectory(i.options.Directory):
		return start.Misusef("--acme-directory %q: must be a URL, such as https://acme-v02.api.letsencrypt.org/directory", i.options.Directory)
	case i.secrets || i.options.Cache != "":
		return nil
	case i.all || i.options.Email != "" || i.options.Directory != "" || i.options.Authorities != "":
		return start.Misusef("--acme-cache DIR is missing, or with --kube --acme-secrets: without a place for certificates each start would have them issued anew")
	}
	return nil
}

// isDirectory tells whether an authority's directory can be there; none stands for the usual one.
func isDirectory(text string) bool {
	u, err := url.Parse(text)
	return text == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// manager returns what issues certificates, nil where nothing does, and what ends it.
func (i *issuing) manager(logger *slog.Logger, k *kube.Cluster, selector map[string]string) (*acme.Manager, func(), error) {
	if !i.secrets && i.options.Cache == "" {
		return nil, func() {}, nil
	}
	o := i.options
	o.Logger = logger
	lead := func(context.Context) {}
	if i.secrets {
		// Gateways with other labels serve other hosts, and have an issuer of their own; and
		// what one authority issued is of no use to who wants another's.
		store := k.ACME(labels.FormatLabels(selector) + " " + cmp.Or(o.Directory, autocert.DefaultACMEDirectory))
		o.Store, o.Leads, lead = store, store.Leads, store.Lead
	}
	m, err := acme.New(o)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		lead(ctx)
		close(ended)
	}()
	return m, func() {
		// What is ordered ends before another replica may order.
		m.Close()
		stop()
		<-ended
	}, nil
}
