// Package website is the sample that shows where traffic goes without reading a
// word: one page in three colours, blue, green and red, each a version of its own.
//
// It owns the page and its manifests, and knows nothing of the proxy in front.
package website

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
)

// Colours are the versions that there are.
func Colours() []string { return []string{"blue", "green", "red"} }

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// NewHandler returns the website in one colour: "/" is the page, "/colour" its colour
// as plain text. It fails for a colour that is not in Colours.
func NewHandler(colour string) (http.Handler, error) {
	if !slices.Contains(Colours(), colour) {
		return nil, fmt.Errorf("website: there is no colour %q; there are %v", colour, Colours())
	}
	var b bytes.Buffer
	if err := page.Execute(&b, colour); err != nil {
		return nil, err
	}
	serve := func(contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", contentType)
			h.Set("Content-Length", strconv.Itoa(len(body)))
			h.Set("Cache-Control", "no-store")
			_, _ = w.Write(body)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", serve("text/html; charset=utf-8", b.Bytes()))
	mux.HandleFunc("GET /colour", serve("text/plain; charset=utf-8", []byte(colour+"\n")))
	mux.HandleFunc("GET /health", serve("text/plain; charset=utf-8", []byte("website is healthy\n")))
	return mux, nil
}
