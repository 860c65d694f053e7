package router

import (
	"slices"
	"strings"
)

// trie finds, for a text, the routes filed under it and those filed under each of its
// prefixes, in one walk over its bytes. It never changes.
type trie struct {
	// nodes begin with the root; the children of a node follow each other.
	nodes []trieNode
	// fold: the keys are in lower case, and the text is compared as if it were.
	fold bool
}

// trieNode is a place that a text's bytes lead to. It is small, and its children lie together,
// because among many routes it is cache misses that cost.
type trieNode struct {
	// label is what follows the byte that led here, up to the next fork or key.
	label string
	// next are the bytes that lead on, sorted: the first to the node at children, and
	// so on.
	next string
	// exact are the routes for the text that ends here, prefix for every one that goes
	// on from here; nil where there are none.
	exact, prefix *routeSet
	children      int32
}

// trieKey is a key on its way into a trie.
type trieKey struct {
	text          string
	exact, prefix *routeSet
}

// buildTrie builds a trie of keys, which are sorted and each come once.
func buildTrie(keys []trieKey, fold bool) *trie {
	b := trieBuilder{trie: trie{nodes: make([]trieNode, 1, len(keys)+1), fold: fold}, nexts: map[string]string{}}
	b.fill(0, keys, 0)
	b.nodes = slices.Clip(b.nodes)
	return &b.trie
}

// trieBuilder shares what many nodes have in common.
type trieBuilder struct {
	trie
	nexts map[string]string
}

// fill makes a node for sorted keys which agree in so many bytes.
func (b *trieBuilder) fill(node int, keys []trieKey, depth int) {
	first, last := keys[0].text, keys[len(keys)-1].text
	end := depth
	for end < len(first) && first[end] == last[end] {
		end++
	}
	n := trieNode{label: first[depth:end], children: int32(len(b.nodes))}
	if len(first) == end {
		n.exact, n.prefix = keys[0].exact, keys[0].prefix
		keys = keys[1:]
	}
	var next []byte
	var groups [][]trieKey
	for len(keys) > 0 {
		c := keys[0].text[end]
		size := 1
		for size < len(keys) && keys[size].text[end] == c {
			size++
		}
		next = append(next, c)
		groups = append(groups, keys[:size])
		keys = keys[size:]
	}
	n.next = b.intern(next)
	b.nodes[node] = n
	b.nodes = append(b.nodes, make([]trieNode, len(groups))...)
	for i := range groups {
		b.fill(int(n.children)+i, groups[i], end+1)
	}
}

func (b *trieBuilder) intern(next []byte) string {
	s, ok := b.nexts[string(next)]
	if !ok {
		s = string(next)
		b.nexts[s] = s
	}
	return s
}

// collect adds the routes that the trie has for a text to a search.
func (t *trie) collect(s *search, text string) {
	n := &t.nodes[0]
	for {
		s.visited++
		if len(text) < len(n.label) || text[:len(n.label)] != n.label && !(t.fold && hasPrefixFold(text, n.label)) {
			return
		}
		text = text[len(n.label):]
		if n.prefix != nil {
			n.prefix.collect(s)
		}
		if text == "" {
			if n.exact != nil {
				n.exact.collect(s)
			}
			return
		}
		c := text[0]
		if t.fold {
			c = lowerByte(c)
		}
		i := strings.IndexByte(n.next, c)
		if i < 0 {
			return
		}
		n, text = &t.nodes[int(n.children)+i], text[1:]
	}
}
