package http1

import "strings"

// What a message may say does not depend on the version that carries it (RFC 9110): the
// codecs of later versions take the rules from here.

// ValidName tells whether a field name is a token in lower case, as later versions send it.
func ValidName(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; tokenLower[c] != c || c == 0 {
			return false
		}
	}
	return name != ""
}

// ValidValue tells whether a field value has no control character and neither begins nor
// ends with space.
func ValidValue(value string) bool {
	n := len(value)
	if n == 0 {
		return true
	}
	if c := value[0]; c == ' ' || c == '\t' {
		return false
	}
	if c := value[n-1]; c == ' ' || c == '\t' {
		return false
	}
	for i := 0; i < n; i++ {
		if !valueByte[value[i]] {
			return false
		}
	}
	return true
}

// ValidMethod tells whether a method is a token.
func ValidMethod(method string) bool {
	for i := 0; i < len(method); i++ {
		if tokenLower[method[i]] == 0 {
			return false
		}
	}
	return method != ""
}

// CheckTarget refuses a target (path and query, or "*") that is too long, or has bytes that
// no target has.
func CheckTarget(target string, limits *Limits) *ProtocolError {
	if len(target) > limits.TargetBytes {
		return errTargetTooLong
	}
	for i := 0; i < len(target); i++ {
		if !targetByte[target[i]] {
			return errTarget
		}
	}
	return nil
}

// AppendNormalPath normalises a target as NormalizePath does. What is new is appended to dst,
// which is returned as buf, and which path may alias. redirect tells that the client is to be
// sent to path instead of being served.
func AppendNormalPath(dst []byte, target string, policy EscapedSlashes) (path string, buf []byte, redirect bool, err *ProtocolError) {
	return normalizePath(dst, target, policy)
}

// PathRedirect is the verdict on a target that AppendNormalPath redirects.
func PathRedirect() *ProtocolError { return errPathRedirect }

// ValidAuthority accepts host, host:port, [v6] and [v6]:port, without user information.
func ValidAuthority(a string) bool { return a != "" && validAuthority(a) }

// SameAuthority tells whether two authorities name the same.
func SameAuthority(a, b string) bool { return sameAuthority(a, b) }

// AuthorityPort returns the port that a valid authority names, or 80.
func AuthorityPort(a string) uint16 { return authorityPort(a) }

// ParseLength reads a Content-Length.
func ParseLength(value string) (n int64, ok bool) { return parseLength(value) }

// Underscored tells whether a policy refuses a field name for an underscore in it.
func (p *Policy) Underscored(name string) bool {
	return !p.AllowUnderscores && strings.IndexByte(name, '_') >= 0
}

// ErrUnderscore is the verdict on a name that is Underscored.
func ErrUnderscore() *ProtocolError { return errUnderscore }

// HopByHop tells of a field that belongs to one connection of HTTP/1 (RFC 9110 section
// 7.6.1): later versions have none of them.
func HopByHop(name string) bool {
	switch kindOf(name) {
	case fieldConnection, fieldTransferEncoding, fieldUpgrade, fieldDrop:
		return true
	}
	return false
}

// TrailerAllowed tells whether a trailer may be forwarded: it must not say anything that
// routing, framing or identity rests on (RFC 9110 section 6.5.1).
func TrailerAllowed(name string) bool { return trailerAllowed(name) }
