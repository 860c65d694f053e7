package ingress

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/config/istio/validate"
)

// ingress is one Ingress in force. It is not changed.
type ingress struct {
	object   *config.Object
	spec     *spec
	settings *settings
	// entries are its paths, host by host.
	entries []*entry
	// tls are the hosts that it has certificates for.
	tls []certificate
	// conditions are those that hold whatever else there is.
	conditions []config.Condition
}

// entry is a path of an Ingress for a host.
type entry struct {
	from *ingress
	// field is where it is written, such as "rules[0].http.paths[1]".
	field    string
	host     string
	standing standing
	match    pathMatch
	// backend is nil where nothing can be served: the path answers 503.
	backend *service
	// redirect answers in place of the backend.
	redirect *networking.HTTPRedirect
}

// standing orders what has the same path: what is written for it goes before what follows
// from something else.
type standing uint8

const (
	// written: a path of a rule for the host.
	written standing = iota
	// alias: a path of a rule for a host that this one is another name of.
	alias
	// onlyBackend: the default backend of an Ingress without rules, for any host.
	onlyBackend
	// otherwise: the default backend of an Ingress, for its hosts and for unknown ones.
	otherwise
	// counter: the redirect of from-to-www-redirect.
	counter
)

// certificate is a host that an Ingress has a certificate for.
type certificate struct {
	host, secret, field string
}

// compare orders Ingresses: the oldest first, among equals the one whose name, then
// namespace, sorts first.
func (in *ingress) compare(other *ingress) int { return compareAge(in.object, other.object) }

func compareAge(a, b *config.Object) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

// newIngress reads an Ingress that is served.
func newIngress(o *config.Object, m *manifest) *ingress {
	in := &ingress{object: o, spec: &m.Spec}
	in.settings, in.conditions = newSettings(o)
	hosts := in.readRules()
	in.readDefault(hosts)
	in.addAliases(hosts)
	in.addCounterparts(hosts)
	in.readTLS(hosts)
	in.check()
	for i := range in.conditions {
		in.conditions[i].Object = o.Key
	}
	return in
}

func (in *ingress) fail(severity config.Severity, reason config.Reason, field, format string, args ...any) {
	in.conditions = append(in.conditions, config.Condition{Severity: severity, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)})
}

// readRules reads the rules, and returns their hosts.
func (in *ingress) readRules() []string {
	var hosts []string
	for i, r := range in.spec.Rules {
		field := fmt.Sprintf("rules[%d]", i)
		host := normalHost(r.Host)
		if problem := hostProblem(host); problem != "" {
			in.fail(config.Error, BadHost, field+".host", "%q %s; the rule is left out", r.Host, problem)
			continue
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
		if r.HTTP == nil {
			continue
		}
		for j := range r.HTTP.Paths {
			in.readPath(fmt.Sprintf("%s.http.paths[%d]", field, j), host, &r.HTTP.Paths[j])
		}
	}
	if root := in.settings.appRoot; root != nil && in.settings.canary == nil {
		for _, host := range hosts {
			in.entries = append(in.entries, &entry{
				from: in, field: annotationField("app-root"), host: host, match: pathMatch{exactPath, "/"}, redirect: root,
			})
		}
	}
	return hosts
}

func (in *ingress) readPath(field, host string, p *path) {
	pathType := "ImplementationSpecific"
	if p.PathType != nil {
		pathType = *p.PathType
	} else {
		in.fail(config.Warning, BadPath, field+".pathType", "missing: it counts as ImplementationSpecific, and an API server refuses it. Write Prefix or Exact")
	}
	match, problem := newPathMatch(p.Path, pathType, in.settings)
	if problem != "" {
		in.fail(config.Error, BadPath, field+".path", "%q: %s", p.Path, problem)
		if in.settings.restricts() && literal(p.Path) != "" {
			// What it was to keep from some must not fall to a wider path that is for all.
			in.entries = append(in.entries, &entry{from: in, field: field, host: host, match: pathMatch{regexPath, regexp.QuoteMeta(literal(p.Path))}})
		}
		return
	}
	in.checkRewrite(field, p.Path, match)
	in.entries = append(in.entries, &entry{from: in, field: field, host: host, match: match, backend: in.readBackend(field+".backend", &p.Backend), redirect: in.settings.redirect})
}

// checkRewrite says which groups of a path a rewrite names that there are not.
func (in *ingress) checkRewrite(field, written string, m pathMatch) {
	pathExpression := ""
	if m.kind == regexPath {
		pathExpression = m.path
	}
	if _, missing := rewritten(in.settings.rewrite, pathExpression); missing > 0 {
		in.fail(config.Warning, BadPath, field+".path", "%q has no group for $%d of rewrite-target, which stands for nothing then: write one, such as %s(/|$)(.*)", written, missing, strings.TrimRight(written, "/"))
	}
}

// readBackend returns the Service of a backend, nil where there is none to serve.
func (in *ingress) readBackend(field string, b *backend) *service {
	switch {
	case in.settings.redirect != nil:
		// Nothing goes there.
	case b.Resource != nil:
		in.fail(config.Error, BadBackend, field+".resource", "%s %q: backends other than Services are not served, and requests get 503. Write service", b.Resource.Kind, b.Resource.Name)
	case b.Service == nil || b.Service.Name == "":
		in.fail(config.Error, BadBackend, field, "names no Service, and requests get 503. Write service.name")
	case b.Service.Port.Number == 0 && b.Service.Port.Name == "":
		in.fail(config.Error, BadBackend, field+".service.port", "names no port, and requests get 503. Write number or name")
	case b.Service.Port.Number != 0 && b.Service.Port.Name != "":
		in.fail(config.Error, BadBackend, field+".service.port", "has a number and a name, and requests get 503. Write one of them")
	case b.Service.Port.Number < 0 || b.Service.Port.Number > 65535:
		in.fail(config.Error, BadBackend, field+".service.port.number", "%d is no port: it must be from 1 to 65535, and requests get 503", b.Service.Port.Number)
	case !isServiceName(b.Service.Name):
		in.fail(config.Error, BadBackend, field+".service.name", "%q is no name of a Service, and requests get 503", b.Service.Name)
	default:
		return b.Service
	}
	return nil
}

func isServiceName(s string) bool { return isLabel(s) }

// readDefault reads the default backend: it serves what no path of the Ingress' hosts takes,
// and hosts that no Ingress has.
func (in *ingress) readDefault(hosts []string) {
	if in.spec.DefaultBackend == nil {
		if len(in.spec.Rules) == 0 {
			in.fail(config.Warning, BadBackend, "rules", "it has neither rules nor a default backend, and serves nothing")
		}
		return
	}
	backend := in.readBackend("defaultBackend", in.spec.DefaultBackend)
	add := func(host string, s standing) {
		in.entries = append(in.entries, &entry{from: in, field: "defaultBackend", host: host, standing: s, match: everything, backend: backend, redirect: in.settings.redirect})
	}
	if len(in.spec.Rules) == 0 {
		add(anyHost, onlyBackend)
		return
	}
	for _, host := range hosts {
		add(host, otherwise)
	}
	if !slices.Contains(hosts, anyHost) {
		add(anyHost, otherwise)
	}
}

// addAliases gives the hosts of server-alias the paths of all the Ingress' hosts.
func (in *ingress) addAliases(hosts []string) {
	for _, name := range in.settings.aliases {
		if slices.Contains(hosts, name) {
			continue
		}
		seen := map[pathMatch]bool{}
		for _, e := range slices.Clone(in.entries) {
			if e.standing == written && !seen[e.match] && e.host != name {
				seen[e.match] = true
				also := *e
				also.host, also.standing = name, alias
				in.entries = append(in.entries, &also)
			}
		}
	}
}

// addCounterparts has the hosts with "www." before them, or without, redirected.
func (in *ingress) addCounterparts(hosts []string) {
	if !in.settings.www {
		return
	}
	for _, host := range hosts {
		other := counterpart(host)
		if other == "" || slices.Contains(hosts, other) {
			in.fail(config.Warning, AnnotationNotServed, annotationField("from-to-www-redirect"), "it has no effect for %q: the host with www. before it, or without, is in the Ingress too, or cannot be", host)
			continue
		}
		in.entries = append(in.entries, &entry{
			from: in, field: annotationField("from-to-www-redirect"), host: other, standing: counter, match: everything,
			redirect: &networking.HTTPRedirect{Authority: host, RedirectCode: 308},
		})
	}
}

// readTLS reads which hosts there are certificates for.
func (in *ingress) readTLS(hosts []string) {
	for i, t := range in.spec.TLS {
		field := fmt.Sprintf("tls[%d]", i)
		names := t.Hosts
		if len(names) == 0 {
			names = hosts
		}
		if strings.Contains(t.SecretName, "/") {
			in.fail(config.Error, NoCertificate, field+".secretName", "%q is no name: the Secret must be in the Ingress' namespace, and TLS clients are refused", t.SecretName)
			continue
		}
		for j, name := range names {
			host := normalHost(name)
			if problem := hostProblem(host); problem != "" {
				in.fail(config.Error, BadHost, fmt.Sprintf("%s.hosts[%d]", field, j), "%q %s; the host gets no certificate", name, problem)
				continue
			}
			in.tls = append(in.tls, certificate{host: host, secret: t.SecretName, field: field})
		}
	}
}

// check tries the Ingress' rules by themselves, so that what Istio's API does not take is said
// of the path that has it, and harms that only.
func (in *ingress) check() {
	for i, e := range in.entries {
		var rules []*networking.HTTPRoute
		for _, r := range e.rules(ruleContext{canary: in.settings.canary, canaryEntry: e, tls: true, domain: "cluster.local", port: func(*entry) uint16 { return 80 }}) {
			rules = append(rules, r.http)
		}
		trial := &resource.VirtualService{Spec: networking.VirtualService{Hosts: []string{"*"}, Gateways: []string{"x"}, Http: rules}}
		for _, c := range validate.Object(trial) {
			if c.Severity != config.Error {
				continue
			}
			in.fail(config.Error, BadPath, e.field, "%s: requests get 503", c.Message)
			broken := *e
			broken.backend, broken.redirect = nil, nil
			in.entries[i] = &broken
			break
		}
	}
	if in.settings.traffic != nil {
		trial := &resource.DestinationRule{Spec: networking.DestinationRule{Host: "a.b.svc.cluster.local", TrafficPolicy: in.settings.traffic}}
		for _, c := range validate.Object(trial) {
			if c.Severity == config.Error {
				in.fail(config.Error, BadAnnotation, "metadata.annotations", "%s: %s; the paths answer 503", c.Field, c.Message)
				in.settings.closed = true
			}
		}
	}
}

// created is when the oldest of some Ingresses was made.
func created(all []*ingress) config.Time {
	return slices.MinFunc(all, (*ingress).compare).object.Created
}
