package manifest

import (
	"sync"

	"go.yaml.in/yaml/v3"
)

// Tree is a document that was read for a short while. Root is nil where the document says
// nothing. Its nodes are used again after Release, and their values may be parts of the text
// that was read: what is to outlive that must be copied.
type Tree struct {
	Root  *yaml.Node
	nodes *nodes
}

// Release gives the nodes back. The zero Tree may be released too.
func (t Tree) Release() {
	if t.nodes == nil || t.nodes.made > maxPooled {
		return
	}
	t.nodes.reset()
	pool.Put(t.nodes)
}

// maxPooled bounds what one huge document may leave behind, in nodes of some 160 bytes.
const maxPooled = 4096

var pool = sync.Pool{New: func() any { return &nodes{} }}

// nodes hands out the nodes of one document, many to an allocation.
type nodes struct {
	free []yaml.Node
	refs []*yaml.Node
	// firstNodes and firstRefs are what reset begins with again.
	firstNodes []yaml.Node
	firstRefs  []*yaml.Node
	// open are the children of the collections that are being read.
	open []*yaml.Node
	// made counts the nodes since the last reset.
	made int
}

const (
	minBlock = 32
	maxBlock = 1024
)

// node returns a node that is n.
func (a *nodes) node(n yaml.Node) *yaml.Node {
	if len(a.free) == 0 {
		a.free = make([]yaml.Node, min(max(minBlock, a.made), maxBlock))
	}
	out := &a.free[0]
	a.free = a.free[1:]
	a.made++
	*out = n
	return out
}

// collect returns the children that were put on a.open from mark on, and takes them off it.
func (a *nodes) collect(mark int) []*yaml.Node {
	children := a.open[mark:]
	if len(children) > len(a.refs) {
		a.refs = make([]*yaml.Node, max(minBlock, len(children), min(a.made, maxBlock)))
	}
	out := a.refs[:len(children):len(children)]
	a.refs = a.refs[len(children):]
	copy(out, children)
	a.open = a.open[:mark]
	return out
}

// reset makes all nodes free again, and has as many at hand as there were. They let go of the
// text.
func (a *nodes) reset() {
	if a.made > len(a.firstNodes) {
		n := max(minBlock, a.made+a.made/2)
		a.firstNodes, a.firstRefs, a.open = make([]yaml.Node, n), make([]*yaml.Node, n), nil
	} else {
		clear(a.firstNodes[:a.made])
	}
	a.free, a.refs, a.open, a.made = a.firstNodes, a.firstRefs, a.open[:0], 0
}
