package admin

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

const (
	indexHead = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sluice %[1]s</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}td{padding:.2rem 1.5rem .2rem 0;vertical-align:top}code{white-space:nowrap}</style></head>
<body><h1>Sluice %[1]s</h1><p>%[2]s</p>
<table>
`
	indexRow = "<tr><td><a href=\"%[1]s\"><code>%[1]s</code></a></td><td>%[2]s</td></tr>\n"
	// indexPlain is the row of what no link leads to.
	indexPlain = "<tr><td><code>%s</code></td><td>%s</td></tr>\n"
	indexTail  = "</table></body></html>\n"
)

// index lists the pages, as HTML for a browser and as text for others. It does without
// html/template: with that in the program, the linker keeps every method of every type.
func index(info Info, list []endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			writeText(w, indexText(info, list))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, indexHead, html.EscapeString(info.Role), html.EscapeString(info.Version.String()))
		for _, e := range list {
			row := indexRow
			if e.methods[0] != http.MethodGet || strings.Contains(e.path, "{") {
				row = indexPlain
			}
			if e.about != "" {
				fmt.Fprintf(w, row, html.EscapeString(e.path), html.EscapeString(e.about))
			}
		}
		fmt.Fprint(w, indexTail)
	}
}

func indexText(info Info, list []endpoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sluice %s %s\n", info.Role, info.Version)
	for _, e := range list {
		if e.about != "" {
			fmt.Fprintf(&b, "  %-20s %s\n", e.path, e.about)
		}
	}
	return b.String()
}
