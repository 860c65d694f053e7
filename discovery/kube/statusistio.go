package kube

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config"
)

const (
	// reconciled is the type of the condition that is written; those of other types are others'.
	reconciled = "Reconciled"
	// accepted is its reason where the object is in force as it stands.
	accepted = "Accepted"
	// maxMessages and maxMessageBytes bound what an object is told.
	maxMessages     = 20
	maxMessageBytes = 4096
)

// istioCondition is an IstioCondition (istio.io/api/meta/v1alpha1).
type istioCondition struct {
	Type               string     `json:"type"`
	Status             string     `json:"status"`
	Reason             string     `json:"reason"`
	Message            string     `json:"message"`
	LastTransitionTime string     `json:"lastTransitionTime,omitempty"`
	ObservedGeneration generation `json:"observedGeneration"`
}

// istioMessage is an AnalysisMessageBase (istio.io/api/analysis/v1alpha1). Its code is its name:
// those of Istio are about Istio's own analysis.
type istioMessage struct {
	Type struct {
		Name string `json:"name"`
		Code string `json:"code"`
	} `json:"type"`
	Level string `json:"level"`
}

// generation is a number that others may have written as a string.
type generation int64

// UnmarshalJSON reads both.
func (g *generation) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		return err
	}
	*g = generation(n)
	return nil
}

// istioStatus is an IstioStatus as far as it is written here.
type istioStatus struct {
	Conditions         []json.RawMessage `json:"conditions"`
	ValidationMessages []istioMessage    `json:"validationMessages"`
	ObservedGeneration generation        `json:"observedGeneration"`
}

// told says whether the status speaks of warnings or errors.
func (s *istioStatus) told() bool {
	for _, m := range s.ValidationMessages {
		if m.Level == levels[config.Warning] || m.Level == levels[config.Error] {
			return true
		}
	}
	return false
}

// levels are the names of severities.
var levels = map[config.Severity]string{config.Error: "ERROR", config.Warning: "WARNING", config.Info: "INFO"}

// readIstioStatus reads a status; one that others have written in another form is empty.
func readIstioStatus(text json.RawMessage) (s istioStatus) {
	if len(text) > 0 && json.Unmarshal(text, &s) != nil {
		return istioStatus{}
	}
	return s
}

// ours finds the condition that is written here; -1 where there is none.
func (s *istioStatus) ours() (int, istioCondition) {
	for i, text := range s.Conditions {
		var c istioCondition
		if json.Unmarshal(text, &c) == nil && c.Type == reconciled {
			return i, c
		}
	}
	return -1, istioCondition{}
}

// istioStatus returns the status that an object should have, where it has another one now; false
// where that says it already. Conditions of other types stay.
func (s *saying) istioStatus(now istioStatus, at time.Time) (istioStatus, bool) {
	want := s.condition()
	messages := s.messages()
	i, is := now.ours()
	want.LastTransitionTime = is.LastTransitionTime
	if i >= 0 && is == want && now.ObservedGeneration == want.ObservedGeneration && reflect.DeepEqual(now.ValidationMessages, messages) {
		return now, false
	}
	if i < 0 || is.Status != want.Status || is.LastTransitionTime == "" {
		want.LastTransitionTime = at.UTC().Format(time.RFC3339)
	}
	text, _ := json.Marshal(want) // strings and numbers
	next := istioStatus{ValidationMessages: messages, ObservedGeneration: want.ObservedGeneration}
	for j, c := range now.Conditions {
		if j != i {
			next.Conditions = append(next.Conditions, c)
		}
	}
	next.Conditions = append(next.Conditions, text)
	return next, true
}

// condition says whether the object is in force.
func (s *saying) condition() istioCondition {
	c := istioCondition{Type: reconciled, Status: "True", Reason: accepted, Message: "in force", ObservedGeneration: generation(s.identity.Generation)}
	if len(s.conditions) == 0 {
		return c
	}
	if s.worst == config.Error {
		c.Status, c.Reason = "False", string(s.conditions[0].Reason)
	}
	var lines []string
	for i, one := range s.conditions {
		if i == maxMessages {
			lines = append(lines, fmt.Sprintf("and %d more", len(s.conditions)-i))
			break
		}
		lines = append(lines, string(one.Severity)+": "+sentence(one))
	}
	c.Message = clip(strings.Join(lines, "\n"), maxMessageBytes)
	return c
}

// messages are the conditions in the form of Istio's analysis, nil for none.
func (s *saying) messages() (list []istioMessage) {
	for _, c := range s.conditions[:min(len(s.conditions), maxMessages)] {
		m := istioMessage{Level: levels[c.Severity]}
		m.Type.Name, m.Type.Code = string(c.Reason), string(c.Reason)
		list = append(list, m)
	}
	return list
}

// sentence is what a condition says, without the object.
func sentence(c config.Condition) string {
	if c.Field == "" {
		return c.Message
	}
	return c.Field + ": " + c.Message
}

// clip cuts a text that is longer than some bytes.
func clip(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes-3], "") + "..."
}
