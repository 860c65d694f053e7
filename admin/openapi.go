package admin

import (
	_ "embed"
	"net/http"
)

// openAPIYAML describes the pages; openAPIJSON is the same for programs, which a test writes.
//
//go:embed openapi.yaml
var openAPIYAML []byte

//go:embed openapi.json
var openAPIJSON []byte

// openAPI shows one of them.
func openAPI(kind string, text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(text)
	}
}
