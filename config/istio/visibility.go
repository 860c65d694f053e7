package istio

import "slices"

// visibility says how an object's exportTo lets a namespace see it. The order is
// that of precedence: what is private to the namespace comes before what was
// exported to it by name, and that before what everybody sees.
type visibility uint8

const (
	private visibility = iota
	exported
	public
	invisible
)

// visibleTo returns how an object of namespace owner, with the given exportTo, is
// seen from namespace client. An empty exportTo is "*".
func visibleTo(exportTo []string, owner, client string) visibility {
	switch {
	case len(exportTo) == 0, slices.Contains(exportTo, "*"):
		return public
	case slices.Contains(exportTo, "~"):
		return invisible
	case owner == client && (slices.Contains(exportTo, ".") || slices.Contains(exportTo, owner)):
		return private
	case owner != client && slices.Contains(exportTo, client):
		return exported
	}
	return invisible
}

// selects says whether every label of a selector is among the labels. An empty
// selector selects everything.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
