package router

import (
	"fmt"
	"strings"
)

// HeaderOpKind is a kind of change to headers.
type HeaderOpKind uint8

const (
	// RemoveHeader takes all values of a header away.
	RemoveHeader HeaderOpKind = iota
	// SetHeader puts one value in the place of whatever is there.
	SetHeader
	// AddHeader puts a value behind what is there.
	AddHeader
)

// HeaderOp is one change to a set of headers.
type HeaderOp struct {
	Kind HeaderOpKind
	// Name is in lower case.
	Name string
	// Value of SetHeader and AddHeader.
	Value Template
}

// compileHeaderOps puts the changes of a destination and its route in order. Those
// to pseudo-headers and to host are left out: the authority changes only through
// Rewrite and Destination.Authority, and nothing may remove it. So are those to what
// frames messages, see OfConnection.
func compileHeaderOps(levels ...*HeaderOps) ([]HeaderOp, error) {
	var ops []HeaderOp
	for _, level := range levels {
		for _, name := range level.Remove {
			if err := appendHeaderOp(&ops, RemoveHeader, name, ""); err != nil {
				return nil, err
			}
		}
		for _, h := range level.Set {
			if err := appendHeaderOp(&ops, SetHeader, h.Name, h.Value); err != nil {
				return nil, err
			}
		}
		for _, h := range level.Add {
			if err := appendHeaderOp(&ops, AddHeader, h.Name, h.Value); err != nil {
				return nil, err
			}
		}
	}
	return ops, nil
}

func appendHeaderOp(ops *[]HeaderOp, kind HeaderOpKind, name, value string) error {
	name = lowerASCII(name)
	if name == "host" || strings.HasPrefix(name, ":") || OfConnection(name) {
		return nil
	}
	if !isToken(name) {
		return fmt.Errorf("header name %q is not a token (RFC 9110 section 5.1)", name)
	}
	template, err := parseTemplate(value)
	if err != nil {
		return fmt.Errorf("header %s: %w", name, err)
	}
	*ops = append(*ops, HeaderOp{Kind: kind, Name: name, Value: template})
	return nil
}

// OfConnection tells whether a header, given its name in lower case, belongs to the connection
// that carries a message, or says where the message ends. Each codec writes its own: a second
// one would have one side take for a new message what the other takes for the body of the last.
func OfConnection(name string) bool {
	switch name {
	case "connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// isToken says whether s may be a header's name (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
