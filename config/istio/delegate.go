package istio

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// expansion are a VirtualService's rules, with those of its delegates in the places of
// the rules that delegate to them.
type expansion struct {
	compiler *Compiler
	v        *virtualService
	rules    []rule
	// delegates are the VirtualServices named.
	delegates  []objectName
	conditions []config.Condition
	// joined counts the match blocks that came of joining rules with delegates'.
	joined int
}

// maxJoined bounds how many match blocks come of a VirtualService's rules and those of its
// delegates. Each block of one is joined with each of the other, so that two objects of a
// megabyte would make hundreds of millions.
const maxJoined = 100_000

// expand returns a VirtualService's rules, and what is wrong between them and the delegates'.
func (c *Compiler) expand(v *virtualService) *expansion {
	x := &expansion{compiler: c, v: v}
	for i, http := range c.open(v).spec.Http {
		field := fmt.Sprintf("http[%d]", i)
		if http.Delegate == nil {
			own := source{v.object, field}
			x.rules = append(x.rules, rule{http: http, object: v.object, field: field, matches: matchOrigins(v.object, field, http), mirror: own, mirrors: own})
			continue
		}
		name := objectName{cmp.Or(http.Delegate.Namespace, v.object.Namespace), http.Delegate.Name}
		x.delegates = append(x.delegates, name)
		delegate := c.virtualService(name)
		if problem := x.problem(name, delegate); problem != "" {
			x.conditions = append(x.conditions, newCondition(config.Error, DelegateNotFound, v.object, field+".delegate", problem))
			continue
		}
		if blocks := x.blocks(http, delegate); x.joined+blocks > maxJoined {
			x.conditions = append(x.conditions, newCondition(config.Error, DelegateConflict, v.object, field+".delegate",
				fmt.Sprintf("with VirtualService %s/%s the rules would come to %d match blocks, and there may be %d of them; the rule takes no requests. Delegate from fewer match blocks, or from another VirtualService",
					name.namespace, name.name, x.joined+blocks, maxJoined)))
			continue
		}
		x.joined += x.blocks(http, delegate)
		x.delegate(http, field, delegate)
	}
	return x
}

// problem says why a rule may not delegate to a VirtualService.
func (x *expansion) problem(name objectName, delegate *virtualService) string {
	v := x.v
	switch {
	case delegate == nil:
		return fmt.Sprintf("no VirtualService %s/%s; the rule takes no requests", name.namespace, name.name)
	case !delegate.isDelegate():
		return fmt.Sprintf("VirtualService %s/%s has hosts of its own, so it is no delegate; the rule takes no requests. Remove its hosts", name.namespace, name.name)
	case !exportsToDelegator(x.compiler.open(delegate).spec.ExportTo, delegate.object.Namespace, v.object.Namespace):
		return fmt.Sprintf("VirtualService %s/%s is not exported to namespace %s; the rule takes no requests. Add it to its exportTo", name.namespace, name.name, v.object.Namespace)
	}
	return ""
}

// blocks is how many match blocks come of a rule and a delegate's rules at most.
func (x *expansion) blocks(root *networking.HTTPRoute, delegate *virtualService) int {
	inner := 0
	for _, http := range x.compiler.open(delegate).spec.Http {
		inner += max(len(http.Match), 1)
	}
	return inner * max(len(root.Match), 1)
}

// exportsToDelegator says whether a delegate of a namespace is for rules of another.
func exportsToDelegator(to []string, own, namespace string) bool {
	return len(to) == 0 || slices.Contains(to, "*") || slices.Contains(to, namespace) || slices.Contains(to, ".") && own == namespace
}

// delegate adds a delegate's rules, narrowed by the rule that delegates to them.
func (x *expansion) delegate(root *networking.HTTPRoute, field string, delegate *virtualService) {
	v := x.v
	rootMatches := qualifyGateways(root.Match, v.object.Namespace)
	for i, http := range x.compiler.open(delegate).spec.Http {
		inner := fmt.Sprintf("http[%d]", i)
		matches, origins, ok := joinMatches(
			rootMatches, matchOrigins(v.object, field, root),
			qualifyGateways(http.Match, delegate.object.Namespace), matchOrigins(delegate.object, inner, http))
		if !ok {
			x.conditions = append(x.conditions, newCondition(config.Warning, DelegateConflict, delegate.object, inner,
				fmt.Sprintf("takes requests that %s %s, which delegates to it, does not; the rule is left out. Narrow its match", v.object.Key, field)))
			continue
		}
		joined := rule{http: joinRules(root, http, matches), object: delegate.object, field: inner, matches: origins}
		joined.mirror, joined.mirrors = source{delegate.object, inner}, source{delegate.object, inner}
		if http.Mirror == nil {
			joined.mirror = source{v.object, field}
		}
		if http.Mirrors == nil {
			joined.mirrors = source{v.object, field}
		}
		x.rules = append(x.rules, joined)
	}
}

// qualifyGateways returns match blocks whose gateways are named in full, as blocks
// of two namespaces can be compared.
func qualifyGateways(matches []*networking.HTTPMatchRequest, namespace string) []*networking.HTTPMatchRequest {
	out := slices.Clone(matches)
	for i, m := range out {
		if len(m.Gateways) == 0 {
			continue
		}
		out[i] = shallowCopy(m)
		out[i].Gateways = make([]string, len(m.Gateways))
		for j, g := range m.Gateways {
			out[i].Gateways[j] = gatewayName(g, namespace)
		}
	}
	return out
}

func matchOrigins(o *config.Object, field string, http *networking.HTTPRoute) []source {
	origins := make([]source, len(http.Match))
	for i := range origins {
		origins[i] = source{o, fmt.Sprintf("%s.match[%d]", field, i)}
	}
	return origins
}

// joinRules returns a delegate's rule with what it does not say itself taken from
// the rule that delegates to it.
func joinRules(root, http *networking.HTTPRoute, matches []*networking.HTTPMatchRequest) *networking.HTTPRoute {
	out := shallowCopy(http)
	out.Match = matches
	out.Name = joinNames(root.Name, http.Name)
	if out.Rewrite == nil {
		out.Rewrite = root.Rewrite
	}
	if out.DirectResponse == nil {
		out.DirectResponse = root.DirectResponse
	}
	if out.Timeout == nil {
		out.Timeout = root.Timeout
	}
	if out.Retries == nil {
		out.Retries = root.Retries
	}
	if out.Fault == nil {
		out.Fault = root.Fault
	}
	if out.Mirror == nil {
		out.Mirror = root.Mirror
	}
	//lint:ignore SA1019 it is served as long as people write it
	out.MirrorPercent = cmp.Or(out.MirrorPercent, root.MirrorPercent)
	if out.MirrorPercentage == nil {
		out.MirrorPercentage = root.MirrorPercentage
	}
	if out.Mirrors == nil {
		out.Mirrors = root.Mirrors
	}
	if out.CorsPolicy == nil {
		out.CorsPolicy = root.CorsPolicy
	}
	if out.Headers == nil {
		out.Headers = root.Headers
	}
	return out
}

// shallowCopy returns a message with the same values in its fields.
func shallowCopy[M proto.Message](m M) M {
	from := m.ProtoReflect()
	to := from.New()
	for fd, value := range from.Range {
		to.Set(fd, value)
	}
	return to.Interface().(M)
}

func joinNames(root, name string) string {
	switch {
	case name == "":
		return root
	case root == "":
		return name
	}
	return root + "-" + name
}

// joinMatches returns the blocks that take what a block of both takes. Each of the
// delegate's blocks must fit into one of the delegating rule's, else it is not ok.
func joinMatches(root []*networking.HTTPMatchRequest, rootAt []source, inner []*networking.HTTPMatchRequest, innerAt []source) (
	[]*networking.HTTPMatchRequest, []source, bool,
) {
	switch {
	case len(root) == 0:
		return inner, innerAt, true
	case len(inner) == 0:
		return root, rootAt, true
	}
	var matches []*networking.HTTPMatchRequest
	var origins []source
	for i, m := range inner {
		fits := false
		for _, r := range root {
			if conflict(r, m) {
				continue
			}
			fits = true
			matches, origins = append(matches, joinMatch(r, m)), append(origins, innerAt[i])
		}
		if !fits {
			return nil, nil, false
		}
	}
	return matches, origins, true
}

// joinMatch returns a delegate's block with what it does not ask taken from the
// delegating rule's.
func joinMatch(root, m *networking.HTTPMatchRequest) *networking.HTTPMatchRequest {
	out := shallowCopy(m)
	out.Name = joinNames(root.Name, m.Name)
	if out.Uri == nil {
		out.Uri = root.Uri
	}
	if out.Scheme == nil {
		out.Scheme = root.Scheme
	}
	if out.Method == nil {
		out.Method = root.Method
	}
	if out.Authority == nil {
		out.Authority = root.Authority
	}
	out.Headers = joinMaps(root.Headers, m.Headers)
	out.WithoutHeaders = joinMaps(root.WithoutHeaders, m.WithoutHeaders)
	out.QueryParams = joinMaps(root.QueryParams, m.QueryParams)
	out.SourceLabels = joinMaps(root.SourceLabels, m.SourceLabels)
	out.Port = cmp.Or(m.Port, root.Port)
	out.SourceNamespace = cmp.Or(m.SourceNamespace, root.SourceNamespace)
	out.StatPrefix = cmp.Or(m.StatPrefix, root.StatPrefix)
	if len(out.Gateways) == 0 {
		out.Gateways = root.Gateways
	}
	return out
}

func joinMaps[V any](root, m map[string]V) map[string]V {
	out := map[string]V{}
	maps.Copy(out, root)
	maps.Copy(out, m)
	return out
}

// conflict says whether a delegate's block asks for something that the delegating
// rule's block does not take.
func conflict(root, m *networking.HTTPMatchRequest) bool {
	return stringConflict(root.Uri, m.Uri) || stringConflict(root.Scheme, m.Scheme) ||
		stringConflict(root.Method, m.Method) || stringConflict(root.Authority, m.Authority) ||
		mapConflict(root.Headers, m.Headers) || mapConflict(root.WithoutHeaders, m.WithoutHeaders) ||
		mapConflict(root.QueryParams, m.QueryParams) ||
		root.IgnoreUriCase != m.IgnoreUriCase ||
		root.Port != 0 && m.Port != 0 && root.Port != m.Port ||
		root.SourceNamespace != "" && root.SourceNamespace != m.SourceNamespace ||
		labelConflict(root.SourceLabels, m.SourceLabels) ||
		gatewayConflict(root.Gateways, m.Gateways)
}

func mapConflict(root, m map[string]*networking.StringMatch) bool {
	for name, s := range m {
		if stringConflict(root[name], s) {
			return true
		}
	}
	return false
}

func labelConflict(root, m map[string]string) bool {
	for name, value := range m {
		if r, ok := root[name]; ok && r != value {
			return true
		}
	}
	return false
}

func gatewayConflict(root, m []string) bool {
	return len(root) > 0 && len(m) > 0 && (len(root) < len(m) || !containsAll(root, m))
}

// stringConflict says whether m takes a string that root does not. Nothing is known
// of what expressions take, so that next to one there may be no other comparison.
func stringConflict(root, m *networking.StringMatch) bool {
	if root == nil || m == nil {
		return false
	}
	switch r := root.MatchType.(type) {
	case *networking.StringMatch_Exact:
		exact, ok := m.MatchType.(*networking.StringMatch_Exact)
		return !ok || exact.Exact != r.Exact
	case *networking.StringMatch_Prefix:
		switch t := m.MatchType.(type) {
		case *networking.StringMatch_Exact:
			return !strings.HasPrefix(t.Exact, r.Prefix)
		case *networking.StringMatch_Prefix:
			return !strings.HasPrefix(t.Prefix, r.Prefix)
		}
	}
	return true
}
