package kube

import "k8s.io/apimachinery/pkg/labels"

// namespaces is the store of the source that watches Namespaces: it knows which of them the
// selector chooses.
type namespaces struct {
	source *source
	labels map[string]labels.Set
	// begin lists everything for the first time.
	begin func()
	// joined is told that a namespace has joined.
	joined chan<- struct{}
}

// Add takes a Namespace that is new.
func (n *namespaces) Add(o any) error {
	i := o.(*item)
	n.labels[i.Name] = i.object.Labels
	n.choose()
	return nil
}

// Update takes a Namespace that has changed.
func (n *namespaces) Update(o any) error { return n.Add(o) }

// Delete takes a Namespace that is gone.
func (n *namespaces) Delete(o any) error {
	delete(n.labels, o.(*item).Name)
	n.choose()
	return nil
}

// Replace takes all Namespaces that there are.
func (n *namespaces) Replace(list []any, _ string) error {
	clear(n.labels)
	for _, o := range list {
		n.labels[o.(*item).Name] = o.(*item).object.Labels
	}
	n.choose()
	n.source.cluster.report(n.source, listed, nil)
	return nil
}

// Resync has nothing to do.
func (n *namespaces) Resync() error { return nil }

// choose brings what is watched in line with the labels.
func (n *namespaces) choose() {
	c := n.source.cluster
	before, chosen := c.selected.Load(), map[string]bool{}
	joined, left := false, false
	for name, labels := range n.labels {
		if chosen[name] = c.selector.Matches(labels); chosen[name] && before != nil && !(*before)[name] {
			joined = true
		}
	}
	if before != nil {
		for name, was := range *before {
			left = left || was && !chosen[name]
		}
	}
	c.selected.Store(&chosen)
	if left {
		c.set.retain(c.watches)
	}
	if before == nil {
		n.begin()
	}
	if joined {
		select {
		case n.joined <- struct{}{}:
		default: // it is told already
		}
	}
}
