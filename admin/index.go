package admin

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

var indexPage = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sluice {{.Info.Role}}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}td{padding:.2rem 1.5rem .2rem 0;vertical-align:top}code{white-space:nowrap}</style></head>
<body><h1>Sluice {{.Info.Role}}</h1><p>{{.Info.Version}}</p>
<table>{{range .Pages}}<tr><td><a href="{{.Path}}"><code>{{.Path}}</code></a></td><td>{{.About}}</td></tr>
{{end}}</table></body></html>
`))

// page is a line of the index.
type page struct{ Path, About string }

// index lists the pages, as HTML for a browser and as text for others.
func index(info Info, list []endpoint) http.HandlerFunc {
	var pages []page
	for _, e := range list {
		if e.about != "" {
			pages = append(pages, page{e.path, e.about})
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			var b strings.Builder
			fmt.Fprintf(&b, "Sluice %s %s\n", info.Role, info.Version)
			for _, p := range pages {
				fmt.Fprintf(&b, "  %-20s %s\n", p.Path, p.About)
			}
			writeText(w, b.String())
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = indexPage.Execute(w, struct {
			Info  Info
			Pages []page
		}{info, pages})
	}
}
