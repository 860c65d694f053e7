package validate

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
)

// sortedKeys returns a map's keys in order, so that conditions come in the same order
// each time.
func sortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil // Most maps: sorting nothing allocates.
	}
	return slices.Sorted(maps.Keys(m))
}

func isSubnet(s string) bool {
	if strings.Count(s, "/") == 1 {
		_, err := netip.ParsePrefix(s)
		return err == nil
	}
	return isIP(s)
}

// labelMap checks labels that must be well-formed (Kubernetes' syntax of labels:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/).
func (c *checker) labelMap(at *config.Path, labels map[string]string) {
	if len(labels) == 0 {
		return
	}
	for _, key := range sortedKeys(labels) {
		if !isLabelKey(key) {
			c.fail(BadLabel, at.Key(key), "%q is not a label's name: letters, digits, '-', '_' and '.', with a DNS name and '/' before it if need be", key)
		}
		if value := labels[key]; value != "" && !isQualifiedName(value) {
			c.fail(BadLabel, at.Key(key), "%q is not a label's value: letters, digits, '-', '_' and '.', beginning and ending with a letter or digit", value)
		}
	}
}

func isLabelKey(key string) bool {
	if prefix, name, found := strings.Cut(key, "/"); found {
		if len(prefix) > 253 {
			return false
		}
		for _, label := range strings.Split(prefix, ".") {
			if !isDNSLabel(label) {
				return false
			}
		}
		key = name
	}
	return len(key) <= 63 && isQualifiedName(key)
}

func isQualifiedName(s string) bool {
	if s == "" || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' && s[i] != '_' && s[i] != '.' {
			return false
		}
	}
	return true
}

// selector checks the labels that select workloads.
func (c *checker) selector(at *config.Path, labels map[string]string) {
	for _, key := range sortedKeys(labels) {
		if key == "" {
			c.fail(BadLabel, at, "a label without a name selects nothing: give it one")
		}
		if strings.Contains(key, "*") || strings.Contains(labels[key], "*") {
			c.fail(BadLabel, at.Key(key), "a selector knows no wildcards: name the label and its value")
		}
	}
	if len(labels) == 0 {
		c.warn(NoEffect, at, "without labels it selects every workload in the namespace: name some, or leave the selector out")
	}
}

// exportTo checks where an object is visible. none says that "~" may stand alone,
// selected that the object is for some workloads of its own namespace.
func (c *checker) exportTo(values []string, none, selected bool) {
	seen := map[string]bool{}
	valid := map[string]bool{}
	for i, value := range values {
		at := field("exportTo").Index(i)
		key := value
		if value == "." {
			key = c.namespace
		}
		switch {
		case seen[key]:
			c.fail(Duplicate, at, "%q is here already: name each namespace once", value)
			continue
		case value == "~" && !none:
			c.fail(BadVisibility, at, "\"~\" (visible to nobody) is for ServiceEntry only: write \".\" for this namespace")
		case value != "*" && value != "~" && !isDNSLabel(key):
			c.fail(BadVisibility, at, "%q is not a namespace: write its name, \".\" for this one or \"*\" for all", value)
		default:
			valid[key] = true
		}
		seen[key] = true
	}
	if len(values) > 1 && (seen["*"] || seen["~"]) {
		c.fail(BadVisibility, field("exportTo"), "\"*\" and \"~\" must stand alone: remove them, or the others")
	}
	if selected && len(valid) > 0 && (!valid[c.namespace] || len(valid) > 1) {
		c.fail(BadVisibility, field("exportTo"), "with a workloadSelector the object is for this namespace only: write [\".\"], or leave exportTo out")
	}
}
