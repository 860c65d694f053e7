package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// addIngress declares the flags for Ingresses.
func addIngress(flags *pflag.FlagSet, o *ingress.Options) {
	flags.StringSliceVar(&o.Classes, "ingress-class", []string{ingress.DefaultClass}, "classes of Ingresses to serve whatever their IngressClass says: sluice,nginx (repeatable)")
	flags.StringVar(&o.Controller, "ingress-controller", ingress.DefaultController, "spec.controller of the IngressClasses that are served")
	flags.BoolVar(&o.WithoutClass, "ingress-without-class", false, "serve Ingresses that name no class though no IngressClass is the default; with --config they are, unless this is false")
	flags.StringVar(&o.DefaultCertificate, "ingress-default-certificate", "", "NAMESPACE/NAME of the Secret for Ingresses with TLS that name none; empty for none")
}

// checkIngress reports what makes no sense in them. Whoever reads folders is alone with what is
// in them: there Ingresses need no class.
func checkIngress(cmd *cobra.Command, o *ingress.Options, folders bool) error {
	if folders && !cmd.Flags().Changed("ingress-without-class") {
		o.WithoutClass = true
	}
	if c := o.DefaultCertificate; c != "" {
		if namespace, name, ok := strings.Cut(c, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return start.Misusef("--ingress-default-certificate %q: must be NAMESPACE/NAME", c)
		}
	}
	return nil
}

// compilers returns what compiles all the objects that a gateway reads.
func compilers(o ingress.Options, proxy istio.Options) func() pipeline.Compile {
	proxy.CheckTelemetry = telemetry.Check
	return func() pipeline.Compile {
		c := ingress.NewCompiler(o, proxy)
		return func(d config.Delta) (*router.Spec, []config.Condition) {
			r := c.Apply(d)
			return r.Spec, r.Conditions
		}
	}
}
