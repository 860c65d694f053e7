// Package expression holds telemetry/expression to github.com/google/cel-go: thousands of
// expressions, drawn by chance from a grammar and mutated as text, must come to the same.
package expression
