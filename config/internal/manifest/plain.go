package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxAliasNodes bounds what aliases may add to a document, so that a few lines that
// refer to each other cannot become gigabytes.
const maxAliasNodes = 100_000

// plain checks the tree under root and replaces aliases and merge keys in it.
func plain(root *yaml.Node) (*yaml.Node, error) {
	p := plainer{sizes: map[*yaml.Node]int{}}
	target, _, err := p.follow(root)
	if err != nil {
		return nil, err
	}
	return target, nil
}

type plainer struct {
	// added counts the nodes that aliases have added so far.
	added int
	// sizes holds the node count of every anchored node; -1 while it is being walked.
	sizes map[*yaml.Node]int
}

// follow returns what n stands for, made plain, and how many nodes that is.
func (p *plainer) follow(n *yaml.Node) (*yaml.Node, int, error) {
	if n.Kind != yaml.AliasNode {
		size, err := p.walk(n)
		return n, size, err
	}
	size, known := p.sizes[n.Alias]
	if size < 0 {
		return nil, 0, &Error{Line: n.Line, Message: fmt.Sprintf("*%s contains itself: write the value out", n.Value)}
	}
	if !known {
		var err error
		if size, err = p.walk(n.Alias); err != nil {
			return nil, 0, err
		}
	}
	if p.added += size; p.added > maxAliasNodes {
		return nil, 0, &Error{Line: n.Line, Message: fmt.Sprintf("aliases expand to more than %d nodes: write the values out", maxAliasNodes)}
	}
	return n.Alias, size, nil
}

// walk makes n, which is no alias, plain and returns its node count.
func (p *plainer) walk(n *yaml.Node) (int, error) {
	if n.Anchor != "" {
		p.sizes[n] = -1
	}
	total := 1
	for i, child := range n.Content {
		target, size, err := p.follow(child)
		if err != nil {
			return 0, err
		}
		n.Content[i] = target
		total += size
	}
	if n.Kind == yaml.MappingNode {
		if err := p.mapping(n); err != nil {
			return 0, err
		}
	}
	if n.Anchor != "" {
		p.sizes[n] = total
	}
	return total, nil
}

// mapping refuses duplicate keys of n and merges what "<<" names into it.
func (p *plainer) mapping(n *yaml.Node) error {
	merges := false
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return &Error{Line: key.Line, Message: "a key must be a single word: quote it if it is one"}
		}
		merges = merges || isMerge(key)
	}
	if key, first := duplicate(n); key != nil {
		return twice(key, first)
	}
	if merges {
		return p.merge(n)
	}
	return nil
}

// twice is the error for a key that repeats an earlier one.
func twice(key, first *yaml.Node) *Error {
	return &Error{Line: key.Line, Message: fmt.Sprintf("the key %q is here twice (first on line %d): keep one", key.Value, first.Line)}
}

// duplicate returns a key of n that an earlier one repeats, and that one.
func duplicate(n *yaml.Node) (key, first *yaml.Node) {
	const few = 16
	if len(n.Content) <= 2*few {
		for i := 2; i < len(n.Content); i += 2 {
			for j := 0; j < i; j += 2 {
				if n.Content[i].Value == n.Content[j].Value {
					return n.Content[i], n.Content[j]
				}
			}
		}
		return nil, nil
	}
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		if first := seen[n.Content[i].Value]; first != nil {
			return n.Content[i], first
		}
		seen[n.Content[i].Value] = n.Content[i]
	}
	return nil, nil
}

// isMerge reports whether key is YAML 1.1's merge key.
func isMerge(key *yaml.Node) bool {
	return key.Value == "<<" && key.Style&quoted == 0 && (key.Tag == "" || key.ShortTag() == "!!merge")
}

// merge replaces the merge keys of n by the pairs they bring: n's own pairs win,
// then those of the mapping that is named first.
func (p *plainer) merge(n *yaml.Node) error {
	have := map[string]bool{}
	var own, sources []*yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !isMerge(key) {
			have[key.Value] = true
			own = append(own, key, value)
			continue
		}
		if value.Kind == yaml.SequenceNode {
			sources = append(sources, value.Content...)
		} else {
			sources = append(sources, value)
		}
	}
	for _, source := range sources {
		if source.Kind != yaml.MappingNode {
			return &Error{Line: source.Line, Message: `"<<" takes a mapping, or a list of mappings`}
		}
		for i := 0; i < len(source.Content); i += 2 {
			if key := source.Content[i]; !have[key.Value] {
				have[key.Value] = true
				own = append(own, key, source.Content[i+1])
			}
		}
	}
	n.Content = own
	return nil
}
