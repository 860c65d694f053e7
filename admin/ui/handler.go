package ui

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"

	"github.com/sluicegate/sluice/admin"
)

//go:embed static
var static embed.FS

// policy is the page's Content-Security-Policy: nothing from elsewhere, nothing inline, and
// no text can become markup or script.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// kinds are the media types of the page's files, whatever the machine's own tables say.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// NewHandler returns the handler of /ui/ and what is below. The stream of events ends when
// its connection does: close the server to end all.
func NewHandler(o Options) http.Handler {
	o = o.withDefaults()
	s := &source{o: o}
	p := newPeers(o.Peers)
	h := &hub{interval: o.Interval, max: MaxListeners, collect: func(ctx context.Context) []answer {
		own := make(chan answer, 1)
		go func() { own <- s.answer() }()
		told := p.ask(ctx)
		return append([]answer{<-own}, told...)
	}}
	r := http.NewServeMux()
	r.HandleFunc("GET /ui/events", h.events)
	r.HandleFunc("GET /ui/state", s.serve)
	// Nothing else of a peer can be asked through the page.
	r.HandleFunc("GET /ui/peer/{peer}/explain", p.pass(func(r *http.Request) string { return "/explain?" + r.URL.RawQuery }))
	r.HandleFunc("GET /ui/peer/{peer}/why/{id}", p.pass(func(r *http.Request) string { return "/why/" + url.PathEscape(r.PathValue("id")) }))
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	serveFiles(r, files)
	r.HandleFunc("GET /ui/", func(w http.ResponseWriter, _ *http.Request) {
		admin.WriteProblem(w, http.StatusNotFound, "the page has no such part; /ui/ is the page")
	})
	return r
}

// answer is what the proxy itself tells.
func (s *source) answer() answer {
	a := answer{id: selfID}
	a.sections, a.err = split(s.state())
	return a
}

// serve shows the proxy's own state to peers.
func (s *source) serve(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(s.state())
	if err != nil {
		admin.WriteProblem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// serveFiles serves each file of the page under its name.
func serveFiles(r *http.ServeMux, files fs.FS) {
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		address := "GET /ui/" + name
		if name == "index.html" {
			address = "GET /ui/{$}"
		}
		kind, length := kinds[path.Ext(name)], strconv.Itoa(len(text))
		r.HandleFunc(address, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Length", length)
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("Referrer-Policy", "no-referrer")
			_, _ = w.Write(text)
		})
		return nil
	})
	if err != nil {
		panic(err) // the files are embedded
	}
}
