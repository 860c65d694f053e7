package router

import (
	"cmp"
	"slices"
	"strings"
)

// trie finds, for a text, the routes filed under it and those filed under each of its
// prefixes, in one walk over its bytes. It never changes.
type trie struct {
	root trieNode
	// fold: the keys are in lower case, and the text is compared as if it were.
	fold bool
}

// trieNode is a place that a text's bytes lead to.
type trieNode struct {
	// label is what follows the byte that led here, up to the next fork or key.
	label string
	// next are the bytes that lead on, sorted; each to its child.
	next     string
	children []trieNode
	// filed are the routes with a key that ends here; nil where none does.
	filed *trieLeaf
}

// trieLeaf holds the routes of one key.
type trieLeaf struct {
	// exact are for the key itself, prefix for everything that begins with it.
	exact, prefix routeSet
}

// trieKey is a key on its way into a trie.
type trieKey struct {
	text string
	leaf *trieLeaf
}

// buildTrie builds a trie of keys, each of which comes once.
func buildTrie(keys []trieKey, fold bool) *trie {
	slices.SortFunc(keys, func(a, b trieKey) int { return cmp.Compare(a.text, b.text) })
	t := &trie{fold: fold}
	b := trieBuilder{nexts: map[string]string{}}
	b.fill(&t.root, keys, 0)
	return t
}

// trieBuilder shares what many nodes have in common.
type trieBuilder struct{ nexts map[string]string }

// fill makes a node for sorted keys which agree in so many bytes.
func (b *trieBuilder) fill(n *trieNode, keys []trieKey, depth int) {
	first, last := keys[0].text, keys[len(keys)-1].text
	end := depth
	for end < len(first) && first[end] == last[end] {
		end++
	}
	n.label = first[depth:end]
	if len(first) == end {
		n.filed = keys[0].leaf
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
	n.children = make([]trieNode, len(groups))
	for i := range groups {
		b.fill(&n.children[i], groups[i], end+1)
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
	n := &t.root
	for {
		s.visited++
		if len(text) < len(n.label) || text[:len(n.label)] != n.label && !(t.fold && hasPrefixFold(text, n.label)) {
			return
		}
		text = text[len(n.label):]
		if n.filed != nil {
			n.filed.prefix.collect(s)
			if text == "" {
				n.filed.exact.collect(s)
			}
		}
		if text == "" {
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
		n, text = &n.children[i], text[1:]
	}
}
