package ingress

import (
	"fmt"
	"net/netip"
	"strings"
)

// anyHost is the host of rules without one.
const anyHost = "*"

// normalHost is a host as it is compared: in lower case, without a trailing dot.
func normalHost(host string) string {
	if host == "" {
		return anyHost
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// hostProblem says why a normal host cannot be served; "" where it can.
func hostProblem(host string) string {
	if host == anyHost {
		return ""
	}
	name, wild := strings.CutPrefix(host, "*.")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "is an address, and hosts of Ingresses are names: leave it out to serve any host"
	}
	switch {
	case len(host) > 253 || name == "":
		return "is no host: write a name such as www.example.com"
	case wild && !strings.Contains(name, "."):
		return "is a wildcard for a whole top-level domain, or is no host: write *.example.com"
	case strings.Contains(name, ":"):
		return "is no host: it has no port and no scheme"
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return fmt.Sprintf("is no host: %q cannot be a part of one", label)
		}
	}
	return ""
}

// isLabel reports whether s is a label of a DNS name in lower case (RFC 1123 section 2.1).
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range s {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// covers says whether a wildcard, or a host, takes another host. It goes by the end alone, as
// servers of Gateways do.
func covers(wide, narrow string) bool {
	if suffix, ok := strings.CutPrefix(wide, "*"); ok {
		return strings.HasSuffix(strings.TrimPrefix(narrow, "*"), suffix)
	}
	return wide == narrow
}

// counterpart is a host with "www." before it, or without; "" for a wildcard.
func counterpart(host string) string {
	if isWildcard(host) || !strings.Contains(host, ".") {
		return ""
	}
	if rest, ok := strings.CutPrefix(host, "www."); ok {
		return rest
	}
	return "www." + host
}
