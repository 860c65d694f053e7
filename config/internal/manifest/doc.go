// Package manifest reads the text of one document, YAML or JSON, as a tree of nodes
// that know their lines. What comes out is plain: aliases and merge keys are
// replaced by what they stand for, no mapping has a key twice, and nothing in it is
// larger than what was written plus a bound.
//
// Scalars mean what they mean to kubectl: it reads YAML 1.1, where on, yes and n
// are booleans. Keys are left as they are written (kubectl makes "true" of the key
// on, which nobody means).
//
// Most documents are read by a scanner of our own, which is several times as fast as the YAML
// library and makes the same of them; whatever is rare or wrong is left to the library. It
// decides what is YAML, and its messages are those that people see.
//
// It must not know of API objects.
package manifest
