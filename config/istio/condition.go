package istio

import (
	"cmp"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// What can be wrong between objects. Packages decode and validate have their own
// reasons for what is wrong within one.
const (
	// GatewayNotFound: a VirtualService names a Gateway that does not exist.
	GatewayNotFound config.Reason = "GatewayNotFound"
	// HostNotInGateway: none of a VirtualService's hosts is one that the Gateway's
	// servers take from its namespace.
	HostNotInGateway config.Reason = "HostNotInGateway"
	// ServiceNotFound: a destination's host is no service, or one that is not
	// exported to this proxy.
	ServiceNotFound config.Reason = "ServiceNotFound"
	// PortNotFound: a destination's service has no such port.
	PortNotFound config.Reason = "PortNotFound"
	// SubsetNotFound: no DestinationRule in force defines a destination's subset.
	SubsetNotFound config.Reason = "SubsetNotFound"
	// DelegateNotFound: the VirtualService that a rule delegates to does not exist,
	// has hosts of its own, or is not exported to the rule's namespace.
	DelegateNotFound config.Reason = "DelegateNotFound"
	// DelegateConflict: a delegate's rules, joined with the rule that delegates to them, come to
	// more match blocks than are served; or one takes requests that the delegating rule
	// does not.
	DelegateConflict config.Reason = "DelegateConflict"
	// HostTaken: an older VirtualService has a host for sidecars, which use one
	// VirtualService for a host.
	HostTaken config.Reason = "HostTaken"
	// UnreachableRule: a rule of an older VirtualService takes all of a rule's requests.
	UnreachableRule config.Reason = "UnreachableRule"
	// ServerConflict: an older Gateway's server has the port, or the TLS host; or one on the
	// same port keeps it from the address that it asks for.
	ServerConflict config.Reason = "ServerConflict"
	// NoServerForRules: a VirtualService's http, tls or tcp rules are for another kind of
	// server than its Gateways have.
	NoServerForRules config.Reason = "NoServerForRules"
	// EncryptedTwice: TLS is passed through to a destination whose DestinationRule has it
	// wrapped in TLS.
	EncryptedTwice config.Reason = "EncryptedTwice"
	// ServerNotRouted: no rule is for a Gateway's server of TLS or TCP.
	ServerNotRouted config.Reason = "ServerNotRouted"
	// ProtocolNotServed: this version has no server for the protocol.
	ProtocolNotServed config.Reason = "ProtocolNotServed"
	// ListenerNotServed: this version has no such Sidecar listener.
	ListenerNotServed config.Reason = "ListenerNotServed"
	// ClaimNotServed: a match on a claim of a token, which this version does not
	// read; it matches no request.
	ClaimNotServed config.Reason = "ClaimNotServed"
	// PolicyNotServed: a part of a traffic policy that this version accepts and does
	// without.
	PolicyNotServed config.Reason = "PolicyNotServed"
	// DuplicateSubset: an older DestinationRule for the host has a subset of that name.
	DuplicateSubset config.Reason = "DuplicateSubset"
	// SecretNotFound: a credentialName is no Secret that holds what is needed of it.
	SecretNotFound config.Reason = "SecretNotFound"
	// NotIssuable: a certificate is to be issued for a host that is no exact name.
	NotIssuable config.Reason = "NotIssuable"
	// SecretGone: a Secret in use was removed; its last certificate serves on.
	SecretGone config.Reason = "SecretGone"
	// BadCertificate: what a key of a Secret holds cannot be read, or does not go with
	// the rest; the Secret's last good version stays in force.
	BadCertificate config.Reason = "BadCertificate"
	// CertificateExpiring: a certificate in use ends within 14 days.
	CertificateExpiring config.Reason = "CertificateExpiring"
	// CertificateExpired: a certificate in use has ended.
	CertificateExpired config.Reason = "CertificateExpired"
)

// newCondition returns a condition on a field of an object, with its file and line.
//
// Of an object that another front end made it is one on what that was made from, which the
// front end knows the place of.
func newCondition(severity config.Severity, reason config.Reason, o *config.Object, field, message string) config.Condition {
	if o.Derived != nil {
		key, field := o.Derived.From(field)
		return config.Condition{Severity: severity, Reason: reason, Object: key, Field: field, Message: message}
	}
	return config.Condition{
		Severity: severity, Reason: reason, Object: o.Key, Field: field, Message: message,
		File: o.File, Line: o.Locate(field),
	}
}

// originOf names a field of an object for people.
func originOf(o *config.Object, field string) router.Origin {
	if o.Derived != nil {
		key, field := o.Derived.From(field)
		return router.Origin{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name, Field: field}
	}
	return router.Origin{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Field: field}
}

// conditionSet holds the conditions in force by what found them, and lists them
// object by object. Its work on a change is in the change, but for the listing.
type conditionSet struct {
	bySource map[any][]config.Condition
	byObject map[config.Key]map[any]struct{}
	sorted   map[config.Key][]config.Condition
	keys     sortedList[config.Key]
	changed  map[config.Key]struct{}
	// moved says by how many lines an object's text has moved since it was read.
	moved map[config.Key]int
}

func newConditionSet() *conditionSet {
	return &conditionSet{
		bySource: map[any][]config.Condition{},
		byObject: map[config.Key]map[any]struct{}{},
		sorted:   map[config.Key][]config.Condition{},
		keys:     sortedList[config.Key]{compare: compareKeys},
		changed:  map[config.Key]struct{}{},
		moved:    map[config.Key]int{},
	}
}

// move says that an object's text begins so many lines further down, or up, than
// when it was read; 0 where it is as read.
func (s *conditionSet) move(key config.Key, lines int) {
	if s.moved[key] == lines {
		return
	}
	s.changed[key] = struct{}{}
	if lines == 0 {
		delete(s.moved, key)
	} else {
		s.moved[key] = lines
	}
}

// replace sets the conditions that a source found; none forgets the source.
func (s *conditionSet) replace(source any, conditions []config.Condition) {
	old := s.bySource[source]
	if len(old) == 0 && len(conditions) == 0 {
		return
	}
	for i := range old {
		s.changed[old[i].Object] = struct{}{}
		delete(s.byObject[old[i].Object], source)
	}
	if len(conditions) == 0 {
		delete(s.bySource, source)
		return
	}
	s.bySource[source] = conditions
	for i := range conditions {
		key := conditions[i].Object
		s.changed[key] = struct{}{}
		if s.byObject[key] == nil {
			s.byObject[key] = map[any]struct{}{}
		}
		s.byObject[key][source] = struct{}{}
	}
}

// list returns all conditions, sorted by object and field.
func (s *conditionSet) list(first []config.Condition) []config.Condition {
	for key := range s.changed {
		s.resort(key)
	}
	clear(s.changed)
	total, keys := len(first), s.keys.list()
	for _, key := range keys {
		total += len(s.sorted[key])
	}
	if total == 0 {
		return nil
	}
	out := append(make([]config.Condition, 0, total), first...)
	for _, key := range keys {
		out = append(out, s.sorted[key]...)
	}
	return out
}

// resort gathers one object's conditions anew.
func (s *conditionSet) resort(key config.Key) {
	var all []config.Condition
	for source := range s.byObject[key] {
		for _, c := range s.bySource[source] {
			if c.Object != key {
				continue
			}
			if c.Line > 0 {
				c.Line += s.moved[key]
			}
			all = append(all, c)
		}
	}
	slices.SortFunc(all, compareConditions)
	all = slices.Compact(all)
	s.keys.set(key, len(all) > 0)
	if len(all) == 0 {
		delete(s.byObject, key)
		delete(s.sorted, key)
		return
	}
	s.sorted[key] = all
}

func compareConditions(a, b config.Condition) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field),
		cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Severity, b.Severity))
}

func compareKeys(a, b config.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
}
