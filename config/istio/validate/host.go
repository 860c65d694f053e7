package validate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
)

// isDNSLabel reports whether s is one label of a DNS name (RFC 1123 section 2.1), in
// either case.
func isDNSLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func isAlphanumeric(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// isWildcardLabel reports whether s may be the first label of a wildcard: "*", or a
// label that may have "*" or "*-" before it.
func isWildcardLabel(s string) bool {
	if s == "*" {
		return true
	}
	rest, wildcard := strings.CutPrefix(s, "*")
	if wildcard {
		rest = strings.TrimPrefix(rest, "-")
	}
	return len(s) <= 63 && isDNSLabel(rest)
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// labelsProblem says what is wrong with the dot-separated labels of a name; a
// trailing dot is fine.
func labelsProblem(name string) string {
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	if _, err := strconv.Atoi(last); err == nil {
		return fmt.Sprintf("its last part, %q, is a number", last)
	}
	for i, label := range labels {
		if i == len(labels)-1 && label == "" {
			return ""
		}
		if !isDNSLabel(label) {
			return fmt.Sprintf("%q cannot be a part of a DNS name", label)
		}
	}
	return ""
}

// nameProblem says what is wrong with a DNS name without wildcard; "" where nothing
// is.
func nameProblem(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > 255:
		return "it is longer than 255 characters"
	}
	return labelsProblem(name)
}

// wildcardProblem says what is wrong with a DNS name that may begin with a wildcard.
func wildcardProblem(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > 255:
		return "it is longer than 255 characters"
	}
	first, rest, more := strings.Cut(name, ".")
	if !isWildcardLabel(first) {
		return fmt.Sprintf("%q cannot be a part of a DNS name", first)
	}
	if more {
		return labelsProblem(rest)
	}
	return ""
}

// partialWildcard reports whether name has a wildcard that is not a whole label.
func partialWildcard(name string) bool {
	return strings.Contains(name, "*") && name != "*" && !strings.HasPrefix(name, "*.")
}

// badHost adds the Error for a host that has a problem.
func (c *checker) badHost(at *config.Path, host, problem string) {
	hint := ""
	if strings.Contains(host, ":") && !isIP(host) {
		hint = " (a host has no port and no scheme)"
	}
	c.fail(BadHost, at, "%q is not a host: %s%s; write a name such as www.example.com", host, problem, hint)
}

// namespacedHost checks a host of a Gateway's server or of a Sidecar's listener:
// namespace/host, and for gateways host alone.
func (c *checker) namespacedHost(at *config.Path, host string, gateway bool) {
	namespace, name, found := strings.Cut(host, "/")
	if !found {
		if !gateway {
			c.fail(BadHost, at, "%q names no namespace: write */%s, or ./%s for this namespace", host, host, host)
			return
		}
		c.publicHost(at, host, gateway)
		return
	}
	switch {
	case namespace == "" || name == "":
		c.fail(BadHost, at, "%q must be namespace/host, and neither may be empty", host)
		return
	case namespace != "*" && namespace != "." && (gateway || namespace != "~") && !isDNSLabel(namespace):
		c.fail(BadHost, at, "%q is not a namespace: write its name, \".\" for this one or \"*\" for any", namespace)
	}
	c.publicHost(at, name, gateway)
}

// publicHost checks a host that must be fully qualified: a name with a dot, "*.name",
// "*", or for gateways an address.
func (c *checker) publicHost(at *config.Path, host string, gateway bool) {
	if host == "" {
		c.fail(Missing, at, "a host must not be empty: \"*\" takes any")
		return
	}
	if host != "*" && !strings.Contains(host, ".") {
		c.fail(BadHost, at, "%q is a short name, which means nothing here: write the full name", host)
		return
	}
	if partialWildcard(host) {
		c.fail(BadHost, at, "%q has a wildcard in the wrong place: only \"*\" and \"*.name\" will do", host)
		return
	}
	if problem := wildcardProblem(host); problem != "" && (!gateway || !isIP(host)) {
		c.badHost(at, host, problem)
	}
}

// covers reports whether wide, a host or a wildcard, takes every host that narrow
// takes.
func covers(wide, narrow string) bool {
	suffix, wildcard := strings.CutPrefix(wide, "*")
	if !wildcard {
		return wide == narrow
	}
	rest, narrowWildcard := strings.CutPrefix(narrow, "*")
	if narrowWildcard {
		return strings.HasSuffix(rest, suffix)
	}
	return strings.HasSuffix(narrow, suffix)
}
