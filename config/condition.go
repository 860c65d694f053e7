package config

import (
	"fmt"
	"strings"
)

// Severity says how bad a Condition is.
type Severity string

const (
	// Error: the object, or the part named, is not in force.
	Error Severity = "Error"
	// Warning: it is in force, but hardly as its author meant.
	Warning Severity = "Warning"
	// Info is worth knowing.
	Info Severity = "Info"
)

// Reason is a short, stable, CamelCase name of a kind of defect. Each front end
// declares its own beside the code that finds them.
type Reason string

// Condition is one defect of one object.
type Condition struct {
	Severity Severity `json:"severity"`
	Reason   Reason   `json:"reason"`
	// Object is what the defect is in. For a file that does not parse, Kind is
	// "File" and Name its path.
	Object Key `json:"-"`
	// Field is the path of the field at fault, such as
	// "http[2].route[0].destination.subset"; empty where it is the whole object.
	Field string `json:"field,omitempty"`
	// Message says what is wrong, and the way out.
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	// Line counts from 1; 0 where it is not known.
	Line int `json:"line,omitempty"`
}

// String returns the condition as people read it:
//
//	VirtualService default/reviews: http[0].route[0].destination.subset: no subset "v4" ...
func (c Condition) String() string {
	var b strings.Builder
	if c.File != "" {
		b.WriteString(c.File)
		if c.Line > 0 {
			fmt.Fprintf(&b, ":%d", c.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(c.Object.String())
	b.WriteString(": ")
	if c.Field != "" {
		b.WriteString(c.Field)
		b.WriteString(": ")
	}
	b.WriteString(c.Message)
	return b.String()
}
