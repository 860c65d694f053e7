package bookinfo

import (
	"net/http"
	"net/url"
	"strings"
)

// sessionCookie holds the name of who signed in. Anybody may sign in as anybody:
// the name is there to route by, and protects nothing.
const sessionCookie = "session"

// maxName bounds a name, in bytes.
const maxName = 64

// user returns who signed in, or "".
func user(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	name, err := url.QueryUnescape(c.Value)
	if err != nil || !isName(name) {
		return ""
	}
	return name
}

// isName says whether a name can stand in a header.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxName && strings.TrimSpace(s) == s
}

func login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	name := strings.TrimSpace(r.FormValue("username"))
	if !isName(name) {
		http.Error(w, "Please sign in with a name of 1 to 64 plain letters, such as jason.", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: url.QueryEscape(name), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, "/productpage", http.StatusFound)
}

func logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/productpage", http.StatusFound)
}
