package ingress

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// server is what servers of Gateways for TLS have in common: the certificate, who is let in,
// and where TLS is passed through the host.
type server struct {
	namespace, secret string
	// authority is "namespace/name" of the Secret that client certificates are checked
	// against; "" where none are asked for.
	authority string
	optional  bool
	// passed is the host whose TLS is left alone.
	passed string
}

// layout says which host has which server for TLS. It is made anew whenever something of it
// changes.
type layout struct {
	byHost map[string]server
	// owners are the Ingresses that each server is of, the oldest first.
	owners map[server][]*ingress
	// passing are the Ingresses to whose services hosts' TLS is passed.
	passing map[string]*ingress
	// refused are, by host, the Ingresses whose demands on clients nobody meets there.
	refused    map[string]map[*ingress]bool
	gateways   map[server]config.Key
	conditions []config.Condition
}

// covers says whether a host has a certificate, or its TLS is passed through.
func (l *layout) covers(host string) bool {
	_, ok := l.find(host)
	return ok
}

// find returns the most specific host for TLS that covers a host.
func (l *layout) find(host string) (string, bool) {
	if _, ok := l.byHost[host]; ok {
		return host, true
	}
	for rest := strings.TrimPrefix(host, "*."); rest != ""; {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		if wide := "*." + after; wide != host && l.byHost[wide] != (server{}) {
			return wide, true
		}
		rest = after
	}
	_, ok := l.byHost[anyHost]
	return anyHost, ok
}

func (l *layout) fail(in *ingress, severity config.Severity, reason config.Reason, field, format string, args ...any) {
	l.conditions = append(l.conditions, config.Condition{Severity: severity, Reason: reason, Object: in.object.Key, Field: field, Message: fmt.Sprintf(format, args...)})
}

// sameCertificates says whether two versions of an Ingress ask for the same TLS.
func sameCertificates(a, b *ingress) bool {
	asks := func(in *ingress) bool {
		return in != nil && (len(in.tls) > 0 || in.settings.clientAuth != nil || in.settings.passthrough)
	}
	if !asks(a) && !asks(b) {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return a.object.Created == b.object.Created && slices.Equal(a.tls, b.tls) && slices.Equal(a.hostNames(), b.hostNames()) &&
		a.settings.passthrough == b.settings.passthrough && a.settings.closed == b.settings.closed && reflect.DeepEqual(a.settings.clientAuth, b.settings.clientAuth)
}

// hostNames are the hosts that an Ingress has paths for, each once.
func (in *ingress) hostNames() []string {
	var out []string
	for _, e := range in.entries {
		if e.standing <= alias && !slices.Contains(out, e.host) {
			out = append(out, e.host)
		}
	}
	return out
}

// settleLayout makes the layout anew, and marks the hosts that it concerns.
func (t *translator) settleLayout() {
	before := t.layout
	t.layout = layout{byHost: map[string]server{}, owners: map[server][]*ingress{}, passing: map[string]*ingress{}, refused: map[string]map[*ingress]bool{}, gateways: map[server]config.Key{}}
	var all []*ingress
	for _, k := range t.known {
		if k.served != nil {
			all = append(all, k.served)
		}
	}
	slices.SortFunc(all, (*ingress).compare)
	owner := map[string]*ingress{}
	for _, in := range all {
		t.claimPassthrough(in, owner)
		for _, c := range in.tls {
			t.claimCertificate(in, c, owner)
		}
	}
	for _, in := range all {
		t.claimClientAuth(in)
	}
	for host, s := range t.layout.byHost {
		if in := owner[host]; in != nil && !slices.Contains(t.layout.owners[s], in) {
			t.layout.owners[s] = append(t.layout.owners[s], in)
		}
	}
	for s := range t.layout.owners {
		slices.SortFunc(t.layout.owners[s], (*ingress).compare)
	}
	t.putGateways(before)
	for name, h := range t.hosts {
		_, had := before.find(name)
		_, has := t.layout.find(name)
		if had != has || before.passing[name] != t.layout.passing[name] || !maps.Equal(before.refused[name], t.layout.refused[name]) || !slices.Equal(h.bound, t.bindings(name)) {
			t.pending.hosts[name] = struct{}{}
		}
	}
}

// claimPassthrough gives the hosts of an Ingress that has TLS passed through servers.
func (t *translator) claimPassthrough(in *ingress, owner map[string]*ingress) {
	if !in.settings.passthrough || in.settings.closed {
		return
	}
	for _, host := range in.hostNames() {
		if by := owner[host]; by != nil {
			t.layout.fail(in, config.Error, CertificateTaken, annotationField("ssl-passthrough"), "%s, which is older, has the TLS of %q: it is not passed through. Take the host out of one of them", by.object.Key, host)
			continue
		}
		owner[host] = in
		t.layout.passing[host] = in
		t.layout.byHost[host] = server{passed: host, namespace: in.object.Namespace}
	}
}

// claimCertificate gives a host the certificate that an Ingress has for it.
func (t *translator) claimCertificate(in *ingress, c certificate, owner map[string]*ingress) {
	s := server{namespace: in.object.Namespace, secret: c.secret}
	if c.secret == "" {
		if t.options.DefaultCertificate == "" && !t.options.ACMEForAll {
			t.layout.fail(in, config.Error, NoCertificate, c.field, "no secretName, and this proxy has no certificate of its own to fall back on: TLS clients of %q are refused. Name a Secret, or start the gateway with --ingress-default-certificate or --acme-all", c.host)
			return
		}
		s.namespace, s.secret, _ = strings.Cut(t.options.DefaultCertificate, "/")
	}
	by, has := owner[c.host], t.layout.byHost[c.host]
	switch {
	case by == nil:
		owner[c.host] = in
		t.layout.byHost[c.host] = s
	case has == s:
	case by == in && has.passed != "":
		t.layout.fail(in, config.Info, CertificateTaken, c.field, "the TLS of %q is passed through, so that the certificate is not used", c.host)
	case by == in:
		t.layout.fail(in, config.Warning, CertificateTaken, c.field, "%q has another certificate already, earlier in tls: this one is not used", c.host)
	default:
		t.layout.fail(in, config.Warning, CertificateTaken, c.field, "%s, which is older, has another certificate for %q: this one is not used. Name the same Secret, or take the host out of one of them", by.object.Key, c.host)
	}
}

// claimClientAuth has client certificates asked for where an Ingress' hosts end TLS.
func (t *translator) claimClientAuth(in *ingress) {
	auth := in.settings.clientAuth
	if auth == nil || in.settings.closed {
		return
	}
	refuse := func(host, format string, args ...any) {
		if t.layout.refused[host] == nil {
			t.layout.refused[host] = map[*ingress]bool{}
		}
		t.layout.refused[host][in] = true
		t.layout.fail(in, config.Error, NotEnforced, annotationField("auth-tls-secret"), format+"; so that nobody gets in who must not, its paths there answer 503", args...)
	}
	for _, host := range in.hostNames() {
		at, ok := t.layout.find(host)
		s := t.layout.byHost[at]
		want := in.object.Namespace + "/" + auth.secret
		switch {
		case !ok:
			refuse(host, "%q has no certificate, and without TLS clients show none: write tls", host)
		case s.passed != "":
			refuse(host, "the TLS of %q is passed through, and client certificates with it", host)
		case s.authority != "" && at == host && (s.authority != want || s.optional != auth.optional):
			refuse(host, "clients of %q must show certificates of other authorities, as an older Ingress has it", host)
		default:
			s.authority, s.optional = want, auth.optional
			t.layout.byHost[host] = s
			if !slices.Contains(t.layout.owners[s], in) {
				t.layout.owners[s] = append(t.layout.owners[s], in)
			}
		}
	}
}

// bindings are the servers for TLS that a host's rules serve.
func (t *translator) bindings(host string) []server {
	var out []server
	add := func(s server) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	at, ok := t.layout.find(host)
	if ok {
		add(t.layout.byHost[at])
	}
	if !isWildcard(host) || ok && t.layout.byHost[at].authority != "" {
		return out
	}
	// What a wildcard takes and no other rules do, is served under narrower certificates too.
	for _, narrower := range slices.Sorted(maps.Keys(t.layout.byHost)) {
		if s := t.layout.byHost[narrower]; narrower != host && covers(host, narrower) && t.hosts[narrower] == nil && s.passed == "" {
			add(s)
		}
	}
	return out
}

// gatewaysOf are the Gateways of a host's VirtualService.
func (t *translator) gatewaysOf(h *host) []string {
	h.bound = t.bindings(h.name)
	out := []string{t.options.Namespace + "/" + t.naming.plaintext}
	for _, s := range h.bound {
		key := t.layout.gateways[s]
		out = append(out, key.Namespace+"/"+key.Name)
	}
	return out
}

// putGateways makes the Gateways of the layout. One that says the same as before, of the same
// Ingress, is kept.
func (t *translator) putGateways(before layout) {
	hosts := map[server][]string{}
	for host, s := range t.layout.byHost {
		hosts[s] = append(hosts[s], host)
	}
	used := map[config.Key]bool{}
	for s, names := range hosts {
		slices.Sort(names)
		g := t.gateway(s, names)
		key := config.Key{Group: istioGroup, Kind: g.Kind, Namespace: g.Namespace, Name: g.Name}
		t.layout.gateways[s] = key
		used[key] = true
		at := created(t.layout.owners[s])
		if old := t.outputs[key]; old != nil && old.Created == at && reflect.DeepEqual(old.Derived.Typed.(*resource.Gateway).Spec.Servers, g.Spec.Servers) &&
			sameOrigin(s, before.owners[s], t.layout.owners[s]) {
			continue
		}
		t.put(derived(g.Kind, g.Namespace, g.Name, at, g, func(field string) (config.Key, string) {
			return gatewayOrigin(s, t.layout.owners[s], field)
		}), t.layout.owners[s])
	}
	for _, key := range before.gateways {
		if !used[key] {
			t.forget(key)
		}
	}
}

// sameOrigin says whether what is wrong with a Gateway for TLS is still of the same place.
func sameOrigin(s server, before, now []*ingress) bool {
	for _, field := range []string{"credentialName", "caCertCredentialName", "hosts"} {
		oldKey, oldField := gatewayOrigin(s, before, field)
		key, field := gatewayOrigin(s, now, field)
		if key != oldKey || field != oldField {
			return false
		}
	}
	return true
}

// gatewayOrigin says what a field of a Gateway for TLS, of some Ingresses, was made from.
func gatewayOrigin(s server, owners []*ingress, field string) (config.Key, string) {
	if len(owners) == 0 {
		return config.Key{Group: group, Kind: "Ingress", Namespace: s.namespace}, ""
	}
	in := owners[0]
	switch {
	case s.passed != "":
		return in.object.Key, annotationField("ssl-passthrough")
	case s.authority != "" && (strings.Contains(field, "caCert") || strings.HasSuffix(field, ".mode")):
		for _, other := range owners {
			if other.settings.clientAuth != nil {
				return other.object.Key, annotationField("auth-tls-secret")
			}
		}
	}
	for _, c := range in.tls {
		if c.secret == s.secret {
			if strings.Contains(field, "credentialName") {
				return in.object.Key, c.field + ".secretName"
			}
			return in.object.Key, c.field
		}
	}
	return in.object.Key, "tls"
}

// gateway is the Gateway of a server for TLS.
func (t *translator) gateway(s server, hosts []string) *resource.Gateway {
	tls := &networking.ServerTLSSettings{Mode: networking.ServerTLSSettings_SIMPLE}
	protocol := "HTTPS"
	if s.secret != "" {
		tls.CredentialName = t.naming.credential(s.namespace, s.secret)
	}
	switch {
	case s.passed != "":
		protocol, tls = "TLS", &networking.ServerTLSSettings{Mode: networking.ServerTLSSettings_PASSTHROUGH}
	case s.authority != "":
		tls.Mode = networking.ServerTLSSettings_MUTUAL
		if s.optional {
			tls.Mode = networking.ServerTLSSettings_OPTIONAL_MUTUAL
		}
		namespace, name, _ := strings.Cut(s.authority, "/")
		tls.CaCertCredentialName = t.naming.credential(namespace, name)
	}
	namespace := s.namespace
	if namespace == "" {
		namespace = t.options.Namespace
	}
	return t.newGateway(namespace, t.naming.gateway(s), &networking.Server{
		Port: &networking.Port{Number: uint32(t.options.HTTPSPort), Name: strings.ToLower(protocol), Protocol: protocol}, Hosts: hosts, Tls: tls,
	})
}

func (t *translator) newGateway(namespace, name string, s *networking.Server) *resource.Gateway {
	g := &resource.Gateway{}
	g.Kind, g.APIVersion, g.Namespace, g.Name = "Gateway", istioGroup+"/v1", namespace, name
	g.Spec.Selector = t.options.Labels
	g.Spec.Servers = []*networking.Server{s}
	return g
}

// settlePlaintext opens the port for plaintext while there is a host.
func (t *translator) settlePlaintext() {
	key := config.Key{Group: istioGroup, Kind: "Gateway", Namespace: t.options.Namespace, Name: t.naming.plaintext}
	if len(t.hosts) == 0 {
		t.forget(key)
		return
	}
	if t.outputs[key] != nil {
		return
	}
	g := t.newGateway(key.Namespace, key.Name, &networking.Server{
		Port: &networking.Port{Number: uint32(t.options.HTTPPort), Name: "http", Protocol: "HTTP"}, Hosts: []string{"*"},
	})
	t.put(derived(g.Kind, g.Namespace, g.Name, lastOfAll, g, func(string) (config.Key, string) { return allServed, "" }), nil)
}

// allServed stands for all Ingresses that are served, whichever those are when it is asked.
var allServed = config.Key{Group: group, Kind: "Ingress"}

// lastOfAll makes the Gateway for plaintext younger than any that somebody wrote, whose
// protocol the port then has.
var lastOfAll = config.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
