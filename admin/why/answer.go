package why

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/recent"
)

// Evidence is what there is to go by, beside the failure itself.
type Evidence struct {
	// Spec is what is served now, nil for none, and Conditions what is wrong with it.
	Spec       *router.Spec
	Conditions []config.Condition
	// Locate says where a piece of configuration stands; file is empty where that is not known.
	// nil knows nothing.
	Locate func(router.Origin) (file string, line int)
}

// Answer says why a request failed.
type Answer struct {
	// Request is what is remembered of it.
	Request recent.Summary `json:"request"`
	// Outcome is such as "404 (NR: no route)", Cause a sentence that says why.
	Outcome string `json:"outcome"`
	Cause   string `json:"cause"`
	// Facts are what shows it, a line each.
	Facts []string `json:"facts,omitempty"`
	// Fix says what to do about it.
	Fix Fix `json:"fix"`
	// Conditions are defects of the configuration that have to do with it.
	Conditions []config.Condition `json:"-"`
	// Explanation is what the table makes of the request; Outdated says that it is another
	// table than the one that answered it.
	Explanation *router.Explanation `json:"explanation,omitempty"`
	Outdated    bool                `json:"outdated,omitempty"`
	// Upstream is the state of the cluster a moment after the failure.
	Upstream *recent.Upstream `json:"upstream,omitempty"`
}

// Fix is a way out: a sentence, and the place that it is about.
type Fix struct {
	Text string `json:"text"`
	// Rule is the object and the field in it; of kind "" where it is about none.
	Rule router.Origin `json:"rule,omitzero"`
	File string        `json:"file,omitempty"`
	Line int           `json:"line,omitempty"`
}

// Place says where the fix is to be made: "VirtualService default/shop http[0] (shop.yaml:12)",
// empty where it is about no object.
func (f *Fix) Place() string {
	if f.Rule.Kind == "" {
		return ""
	}
	if f.File == "" {
		return f.Rule.String()
	}
	return fmt.Sprintf("%s (%s:%d)", f.Rule, f.File, f.Line)
}

// Of says why a request failed.
func Of(f *recent.Failure, e Evidence) Answer {
	a := Answer{Request: f.Summary, Explanation: f.Explanation, Outdated: f.Outdated, Upstream: f.Upstream, Outcome: outcome(&f.Summary)}
	c := inquiry{Summary: f.Summary, Answer: &a, failure: f, evidence: e}
	c.inquire()
	if e.Locate != nil && a.Fix.Rule.Kind != "" && a.Fix.File == "" {
		a.Fix.File, a.Fix.Line = e.Locate(a.Fix.Rule)
	}
	return a
}

// inquiry is the work on one answer.
type inquiry struct {
	recent.Summary
	*Answer
	failure  *recent.Failure
	evidence Evidence
	flags    map[string]bool
}

// inquire asks those who know, the most telling flag first.
func (c *inquiry) inquire() {
	c.flags = make(map[string]bool)
	for flag := range strings.SplitSeq(c.Flags, ",") {
		c.flags[flag] = true
	}
	for _, expert := range experts {
		if c.flags[expert.flag] {
			expert.say(c)
			break
		}
	}
	if c.Cause == "" {
		c.withoutFlag()
	}
	if c.flags["URX"] {
		c.fact("the policy's retries are used up: %d tries were made, this is how the last one ended", c.Attempts)
	}
	c.related()
	if c.Outdated {
		c.fact("the configuration changed while the request was served: the explanation is that of the next one")
	}
}

// experts know what flags mean. The first whose flag is there speaks.
var experts = []struct {
	flag string
	say  func(*inquiry)
}{
	{"NR", (*inquiry).noRoute},
	{"NC", (*inquiry).noCluster},
	{"UH", (*inquiry).noHealthyUpstream},
	{"UO", (*inquiry).overflow},
	{"UF", (*inquiry).connectFailure},
	{"UT", (*inquiry).timeout},
	{"UPE", (*inquiry).protocolError},
	{"UC", (*inquiry).termination},
	{"UR", (*inquiry).reset},
	{"DPE", (*inquiry).badRequest},
	{"SI", (*inquiry).standstill},
	{"DT", (*inquiry).tooLong},
	{"DC", (*inquiry).clientGone},
	{"FI", (*inquiry).fault},
	{"RL", (*inquiry).rateLimited},
	{"OM", (*inquiry).overload},
}

// flagWords say what flags stand for, as Envoy's documentation does.
var flagWords = map[string]string{
	"NR": "no route", "NC": "no such cluster", "UH": "no healthy endpoint", "UF": "no connection to the endpoint",
	"UC": "the endpoint closed the connection", "UR": "the endpoint reset the stream", "UT": "timeout",
	"UO": "circuit breaker", "URX": "retries used up", "UPE": "the endpoint's answer is not valid",
	"DC": "the client went away", "DPE": "the request is not valid", "SI": "nothing moved for too long",
	"DT": "it lasted too long", "DI": "delay injected", "FI": "fault injected", "OM": "out of memory", "RL": "rate limited",
}

// IsFlag tells whether a text is the name of a response flag, in any case.
func IsFlag(text string) bool { return flagWords[strings.ToUpper(text)] != "" }

// outcome is the status with what its flags mean: "503 (UF: no connection to the endpoint, URX:
// retries used up)".
func outcome(s *recent.Summary) string {
	text := fmt.Sprint(s.Status)
	switch {
	case s.Status == 0 && s.Method == "":
		text = "connection closed"
	case s.Status == 0:
		text = "no response"
	case s.GRPCStatus != "":
		text += " with grpc-status " + s.GRPCStatus
	}
	if s.Flags == "" {
		if name := http.StatusText(s.Status); name != "" && s.GRPCStatus == "" {
			text += " (" + name + ")"
		}
		return text
	}
	var words []string
	for flag := range strings.SplitSeq(s.Flags, ",") {
		if word := flagWords[flag]; word != "" {
			flag += ": " + word
		}
		words = append(words, flag)
	}
	return text + " (" + strings.Join(words, ", ") + ")"
}

func (c *inquiry) because(format string, args ...any) { c.Cause = fmt.Sprintf(format, args...) }
func (c *inquiry) fact(format string, args ...any) {
	c.Facts = append(c.Facts, fmt.Sprintf(format, args...))
}

// fix says what to do, about a rule or, with none, in general.
func (c *inquiry) fix(rule router.Origin, format string, args ...any) {
	c.Fix = Fix{Text: fmt.Sprintf(format, args...), Rule: rule}
}

// at returns the request's rule, or a field of it.
func (c *inquiry) at(field string) router.Origin {
	rule := c.Rule
	if field != "" {
		rule.Field = join(c.ruleField(), field)
	}
	return rule
}

func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}

// cluster returns the destination as it is now, or nil.
func (c *inquiry) cluster() *router.Cluster {
	if c.evidence.Spec == nil {
		return nil
	}
	for _, cluster := range c.evidence.Spec.Clusters {
		if cluster.Name == c.Cluster {
			return cluster
		}
	}
	return nil
}

// policy returns the object that says how the cluster is treated, and a field of it; of kind ""
// where there is none.
func (c *inquiry) policy(field string) router.Origin {
	cluster := c.cluster()
	if cluster == nil || cluster.Origin.Kind != "DestinationRule" {
		return router.Origin{}
	}
	origin := cluster.Origin
	origin.Field = join(origin.Field, field)
	return origin
}

// related adds the defects of the objects that the answer is about.
func (c *inquiry) related() {
	for _, condition := range c.evidence.Conditions {
		if about(condition, c.Rule) || about(condition, c.Fix.Rule) {
			c.Answer.Conditions = append(c.Answer.Conditions, condition)
		}
	}
}

// about tells whether a condition is one of an object.
func about(c config.Condition, o router.Origin) bool {
	return o.Kind != "" && c.Object.Kind == o.Kind && c.Object.Namespace == o.Namespace && c.Object.Name == o.Name
}
