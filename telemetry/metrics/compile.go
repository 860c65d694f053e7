package metrics

import (
	"errors"
	"strings"

	"github.com/sluicegate/sluice/proxy"
)

// compile returns what evaluates a CEL expression: a literal in quotes.
func compile(text string) (evaluator, error) {
	for _, quote := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(text, quote); ok && strings.HasSuffix(inner, quote) && !strings.ContainsAny(inner[:len(inner)-1], quote+`\`) {
			literal := inner[:len(inner)-1]
			return func(dst []byte, _ *proxy.Exchange) ([]byte, bool) { return append(dst, literal...), true }, nil
		}
	}
	return nil, errors.New("only a literal in quotes can be evaluated")
}
