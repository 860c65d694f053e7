package istio

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// configMapPrefix begins a credentialName that means the authorities of a ConfigMap.
const configMapPrefix = "configmap://"

// credentialUse is a credentialName of a DestinationRule.
type credentialUse struct {
	// field is where it is written.
	field, name string
	// want is what is asked of it.
	want secretUse
}

// credentials are the Secrets that the rule names.
func (r *destinationRule) credentials() []credentialUse {
	var out []credentialUse
	eachTLS(r.spec, func(at string, tls *networking.ClientTLSSettings) {
		mutual := tls.Mode == networking.ClientTLSSettings_MUTUAL
		if tls.CredentialName != "" && (mutual || tls.Mode == networking.ClientTLSSettings_SIMPLE) {
			want := secretUse{pair: mutual, ca: !tls.GetInsecureSkipVerify().GetValue()}
			out = append(out, credentialUse{at + ".credentialName", tls.CredentialName, want})
		}
	})
	return out
}

// eachTLS calls f for each tls block of a DestinationRule, with its path.
func eachTLS(spec *networking.DestinationRule, f func(at string, tls *networking.ClientTLSSettings)) {
	level := func(at string, p *networking.TrafficPolicy) {
		if p.GetTls() != nil {
			f(at+".tls", p.Tls)
		}
		for i, port := range p.GetPortLevelSettings() {
			if port.Tls != nil {
				f(fmt.Sprintf("%s.portLevelSettings[%d].tls", at, i), port.Tls)
			}
		}
	}
	level("trafficPolicy", spec.TrafficPolicy)
	for i, s := range spec.Subsets {
		level(fmt.Sprintf("subsets[%d].trafficPolicy", i), s.TrafficPolicy)
	}
}

// fileCredentials keeps count of the rules that name a Secret, or with add false no longer do.
func (d *destinationRules) fileCredentials(key config.Key, r *destinationRule, namespace string, add bool) {
	for _, use := range r.credentials() {
		for _, name := range secretNames(namespace, use.name) {
			if add {
				addTo(d.bySecret, name, key)
				continue
			}
			takeFrom(d.bySecret, name, key)
		}
	}
}

// credentialSource is where the conditions of a rule's credentials come from.
type credentialSource config.Key

// judgeRules looks at the hosts whose DestinationRules were touched, and at the credentials of
// those, or of the ones whose Secrets were.
func (c *Compiler) judgeRules() {
	for h := range c.pending.merged {
		c.conditions.replace(h, h.conditions())
	}
	for key := range c.pending.rules {
		var found []config.Condition
		if r := c.rules.byObject[key]; r != nil {
			found = c.credentialConditions(r)
		}
		c.conditions.replace(credentialSource(key), found)
	}
}

// credentialConditions says which credentials of a rule cannot be used by this proxy. Rules
// for other workloads and namespaces are no concern of it.
func (c *Compiler) credentialConditions(r *destinationRule) []config.Condition {
	if r.selected && (c.options.Namespace != r.object.Namespace || !selects(r.selector, c.options.Labels)) ||
		visibleTo(r.exportTo, r.object.Namespace, c.options.Namespace) == invisible {
		return nil
	}
	var out []config.Condition
	add := func(severity config.Severity, reason config.Reason, use credentialUse, message string) {
		out = append(out, newCondition(severity, reason, r.object, use.field, fmt.Sprintf("%q: %s", use.name, message)))
	}
	for _, use := range r.credentials() {
		switch {
		case strings.HasPrefix(use.name, configMapPrefix):
			add(config.Error, PolicyNotServed, use, "this version reads no ConfigMaps, and connections fail: put the authorities into a Secret, as ca.crt")
		case !heedsCredential(c.options.Role, r.selected, use.name):
			add(config.Info, PolicyNotServed, use, "sidecars use credentials of rules with a workloadSelector only: this one sends plaintext (as in Istio), for its gateway to encrypt")
		default:
			if problem := c.credentialProblem(use); problem != "" {
				add(c.secretSeverity(), SecretNotFound, use, problem)
			}
		}
	}
	return out
}

// secretSeverity is how bad a Secret is that is not there: where a folder is judged, it may
// well be kept elsewhere.
func (c *Compiler) secretSeverity() config.Severity {
	if c.options.AllGateways {
		return config.Warning
	}
	return config.Error
}

// credentialProblem says what a credential lacks, and what comes of it; "" for nothing.
func (c *Compiler) credentialProblem(use credentialUse) string {
	names := secretNames(c.options.Namespace, use.name)
	problem := ""
	if use.want.pair {
		problem = c.noSecret(names[0], secretUse{pair: true})
	}
	if problem == "" && use.want.ca && !slices.ContainsFunc(names, func(name string) bool { return useOf(c.secret(name)).ca }) {
		problem = c.noSecret(names[0], secretUse{ca: true})
	}
	if problem != "" {
		problem += "; until then connections fail"
	}
	return problem
}
