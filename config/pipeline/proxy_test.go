package pipeline_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// changesTime is the time by which certificates are said to expire.
var changesTime = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// view is a proxy whose configuration TestChanges compiles.
type view struct {
	proxy istio.Options
	// ingresses are for gateways.
	ingresses ingress.Options
}

// views are gateways of two namespaces, what validates a folder, and a sidecar.
var views = map[string]view{
	"gateway": {
		istio.Options{Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway"}, Node: "n1"},
		ingress.Options{DefaultCertificate: "shop/two"},
	},
	"shop": {
		istio.Options{Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway", "app": "a"}, Namespace: "shop", Locality: "east/z1", ACMEForAll: true},
		ingress.Options{WithoutClass: true},
	},
	"validate": {istio.Options{Role: istio.Gateway, AllGateways: true}, ingress.Options{AllClasses: true}},
	"sidecar":  {proxy: istio.Options{Role: istio.Sidecar, Labels: map[string]string{"app": "a", "version": "v1"}, Node: "n1"}},
}

// proxy is a pipeline with all that it says.
type proxy struct {
	pipeline *pipeline.Pipeline
	table    *router.Table
	foreign  map[config.Key]bool
	served   []config.Key
	wants    func() config.Wants
	// compiler is an *istio.Compiler, or an *ingress.Compiler.
	compiler any
}

func newProxy(v view) *proxy {
	p := &proxy{foreign: map[config.Key]bool{}}
	v.proxy.CheckTelemetry, v.proxy.Now = telemetry.Check, func() time.Time { return changesTime }
	v.proxy.Foreign = func(key config.Key, foreign bool) {
		if delete(p.foreign, key); foreign {
			p.foreign[key] = true
		}
	}
	v.ingresses.Served = func(all []config.Key) { p.served = slices.Clone(all) }
	p.pipeline = pipeline.New(pipeline.Options{
		Publish: func(t *router.Table) { p.table = t },
		NewCompiler: func() pipeline.Compile {
			c := istio.NewCompiler(v.proxy)
			apply := c.Apply
			p.compiler, p.wants = c, c.Wants
			if v.proxy.Role == istio.Gateway {
				c := ingress.NewCompiler(v.ingresses, v.proxy)
				apply = c.Apply
				p.compiler, p.wants = c, c.Wants
			}
			return func(d config.Delta) (*router.Spec, []config.Condition) {
				r := apply(d)
				return r.Spec, r.Conditions
			}
		},
	})
	return p
}

func (p *proxy) apply(d config.Delta) { p.pipeline.Apply(d) }

// differs describes the first part in which two proxies differ; "" where they do not.
func (p *proxy) differs(want *proxy, requests []*router.Request) string {
	if a, b := p.table.Spec(), want.table.Spec(); !reflect.DeepEqual(a, b) {
		return "spec:\n" + lines(dump(a), dump(b))
	}
	if a, b := p.pipeline.Conditions(), want.pipeline.Conditions(); !slices.Equal(a, b) {
		return "conditions:\n" + lines(dump(a), dump(b))
	}
	for _, list := range []struct {
		what string
		a, b any
	}{{"foreign", p.foreign, want.foreign}, {"served", p.served, want.served}, {"wants", p.wants(), want.wants()}} {
		if a, b := fmt.Sprint(list.a), fmt.Sprint(list.b); a != b {
			return list.what + ":\n got " + a + "\nwant " + b
		}
	}
	for _, r := range requests {
		if a, b := dump(p.table.Explain(r)), dump(want.table.Explain(r)); a != b {
			return fmt.Sprintf("request %+v:\n%s", r, lines(a, b))
		}
	}
	return ""
}

func dump(of any) string {
	if conditions, ok := of.([]config.Condition); ok {
		var b strings.Builder
		for _, c := range conditions {
			fmt.Fprintf(&b, "%s %s %s\n", c.Severity, c.Reason, c)
		}
		return b.String()
	}
	text, err := json.MarshalIndent(of, "", " ")
	if err != nil {
		return fmt.Sprintf("%+v", of)
	}
	return string(text)
}

// lines are those in which two texts differ, with a few around the first.
func lines(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	from := 0
	for from < min(len(a), len(b)) && a[from] == b[from] {
		from++
	}
	behind := 0
	for behind < min(len(a), len(b))-from && a[len(a)-1-behind] == b[len(b)-1-behind] {
		behind++
	}
	part := func(all []string) string {
		return strings.Join(all[max(0, from-8):min(len(all), len(all)-behind+4, from+40)], "\n")
	}
	return " got " + part(a) + "\nwant " + part(b)
}
