// Package httpbin is the sample service that shows a request as it arrived: its
// headers, path and body, or a response made to order (a status, a delay, so many
// bytes). Paths and JSON follow httpbin.org's, with one field more, the version, so
// that two of them can stand behind one route.
//
// It owns that service and its manifests, and knows nothing of the proxy in front.
package httpbin

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxDelay bounds /delay.
	maxDelay = 10 * time.Second
	// maxBytes bounds /bytes.
	maxBytes = 100 << 10
	// maxLines bounds /stream.
	maxLines = 100
	// maxBody bounds what /post and its like read of a request.
	maxBody = 1 << 20
	// maxRedirects bounds /redirect.
	maxRedirects = 20
)

// server answers for one version.
type server struct {
	version string
}

// NewHandler returns the service. The version is a field of its answers, such as
// "v1".
func NewHandler(version string) http.Handler {
	s := &server{version}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "httpbin is healthy"})
	})
	mux.HandleFunc("GET /get", s.echo(false))
	mux.HandleFunc("POST /post", s.echo(true))
	mux.HandleFunc("PUT /put", s.echo(true))
	mux.HandleFunc("PATCH /patch", s.echo(true))
	mux.HandleFunc("DELETE /delete", s.echo(true))
	mux.HandleFunc("/anything", s.echo(true))
	mux.HandleFunc("/anything/", s.echo(true))
	mux.HandleFunc("GET /headers", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"headers": headers(r), "version": s.version})
	})
	mux.HandleFunc("GET /ip", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"origin": origin(r), "version": s.version})
	})
	mux.HandleFunc("GET /user-agent", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"user-agent": r.UserAgent(), "version": s.version})
	})
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/delay/{seconds}", s.delay)
	mux.HandleFunc("GET /bytes/{n}", randomBytes)
	mux.HandleFunc("GET /stream/{n}", s.stream)
	mux.HandleFunc("GET /redirect/{n}", redirect)
	mux.HandleFunc("GET /response-headers", responseHeaders)
	return mux
}

// request is a request as it arrived.
type request struct {
	Args    map[string]any    `json:"args"`
	Data    *string           `json:"data,omitempty"`
	Form    map[string]any    `json:"form,omitempty"`
	JSON    json.RawMessage   `json:"json,omitempty"`
	Headers map[string]string `json:"headers"`
	Method  string            `json:"method"`
	Origin  string            `json:"origin"`
	URL     string            `json:"url"`
	Version string            `json:"version"`
	// ID counts the lines of /stream.
	ID *int `json:"id,omitempty"`
}

func (s *server) describe(r *http.Request) request {
	scheme := "http"
	if p := r.Header.Get("X-Forwarded-Proto"); p != "" {
		scheme = p
	}
	return request{
		Args:    values(r.URL.Query()),
		Headers: headers(r),
		Method:  r.Method,
		Origin:  origin(r),
		URL:     scheme + "://" + r.Host + r.URL.RequestURI(),
		Version: s.version,
	}
}

// echo answers with the request, and its body where wanted.
func (s *server) echo(body bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := s.describe(r)
		if body {
			b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err != nil {
				fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must not exceed %d bytes", maxBody))
				return
			}
			answer.add(r.Header.Get("Content-Type"), b)
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

// add shows a body as what it is: a form, JSON or text.
func (q *request) add(contentType string, body []byte) {
	text := string(body)
	if !utf8.Valid(body) {
		text = fmt.Sprintf("%d bytes that are not text", len(body))
	}
	if form, err := url.ParseQuery(text); err == nil && strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		q.Form = values(form)
		text = ""
	}
	q.Data = &text
	if json.Valid(body) {
		q.JSON = body
	}
}

// status answers with the status in the path, or with one of several, joined by
// commas.
func status(w http.ResponseWriter, r *http.Request) {
	choice := strings.Split(r.PathValue("code"), ",")
	code, err := strconv.Atoi(choice[rand.IntN(len(choice))])
	if err != nil || code < 200 || code > 599 {
		fail(w, http.StatusBadRequest, "the status must be a number from 200 to 599")
		return
	}
	w.WriteHeader(code)
}

func (s *server) delay(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.ParseFloat(r.PathValue("seconds"), 64)
	if err != nil || !(seconds >= 0) {
		fail(w, http.StatusBadRequest, "the delay must be a number of seconds")
		return
	}
	wait := maxDelay
	if seconds < maxDelay.Seconds() {
		wait = time.Duration(seconds * float64(time.Second))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		writeJSON(w, http.StatusOK, s.describe(r))
	case <-r.Context().Done():
	}
}

func randomBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n > maxBytes {
		fail(w, http.StatusBadRequest, fmt.Sprintf("the number of bytes must be from 0 to %d", maxBytes))
		return
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(n))
	_, _ = w.Write(b)
}

// stream answers with so many lines of JSON, each sent on its own.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n > maxLines {
		fail(w, http.StatusBadRequest, fmt.Sprintf("the number of lines must be from 0 to %d", maxLines))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := s.describe(r)
	encoder := json.NewEncoder(w)
	flusher := http.NewResponseController(w)
	for i := range n {
		answer.ID = &i
		if encoder.Encode(answer) != nil || flusher.Flush() != nil {
			return // the client is gone
		}
	}
}

// redirect leads to /get in so many steps.
func redirect(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 || n > maxRedirects {
		fail(w, http.StatusBadRequest, fmt.Sprintf("the number of redirects must be from 1 to %d", maxRedirects))
		return
	}
	to := "/get"
	if n > 1 {
		to = "/redirect/" + strconv.Itoa(n-1)
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// responseHeaders answers with the query's parameters as headers.
func responseHeaders(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	for name, all := range query {
		for _, value := range all {
			w.Header().Add(name, value)
		}
	}
	writeJSON(w, http.StatusOK, values(query))
}

// headers returns the request's headers, several of a name joined by commas.
func headers(r *http.Request) map[string]string {
	h := map[string]string{"Host": r.Host}
	for name, all := range r.Header {
		h[name] = strings.Join(all, ",")
	}
	return h
}

// values returns single values as strings and several as lists.
func values(from url.Values) map[string]any {
	out := map[string]any{}
	for name, all := range from {
		if len(all) == 1 {
			out[name] = all[0]
		} else {
			out[name] = all
		}
	}
	return out
}

// origin is who asked, as far as the proxies in between say.
func origin(r *http.Request) string {
	if via := r.Header.Get("X-Forwarded-For"); via != "" {
		return via
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func fail(w http.ResponseWriter, code int, message string) {
	writeJSON(w, code, map[string]string{"error": message})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	// Indented, because people read it; headers keep their & and <.
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, b.String())
}

func (s *server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, `httpbin %s

GET  /get                    the request, as it arrived
POST /post  PUT /put  PATCH /patch  DELETE /delete
                             the same with its body
any  /anything               any method, any path below
GET  /headers  /ip  /user-agent
                             parts of it
any  /status/503             that status; one of several with /status/200,503
any  /delay/1.5              after so many seconds, at most %g
GET  /bytes/1024             so many random bytes, at most %d
GET  /stream/3               so many lines of JSON, at most %d
GET  /redirect/2             to /get in so many steps, at most %d
GET  /response-headers?a=b   with those headers
GET  /health
`, s.version, maxDelay.Seconds(), maxBytes, maxLines, maxRedirects)
}
