package ui

import (
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxStatic bounds the page's files, which every binary carries, in bytes.
const maxStatic = 150_000

func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(static, name)
		all[path.Base(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFiles(t *testing.T) {
	here := serve(t, (&proxy{}).options())
	size := 0
	for name, text := range files(t) {
		size += len(text)
		if name == "index.html" {
			name = ""
		}
		status, header, body := get(t, here+"/ui/"+name)
		if status != http.StatusOK || body != text {
			t.Errorf("%s: %d", name, status)
		}
		if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s is served with the policy %q", name, policy)
		}
		if header.Get("Content-Type") == "" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s is served with %v", name, header)
		}
	}
	if size > maxStatic {
		t.Errorf("the files are %d bytes, more than %d", size, maxStatic)
	}
	for _, away := range []string{"/ui/nothing.js", "/ui/static/main.js", "/ui/index.html"} {
		if status, _, _ := get(t, here+away); status != http.StatusNotFound {
			t.Errorf("%s is answered %d", away, status)
		}
	}
	if status, _, body := get(t, here+"/ui"); status != http.StatusOK || !strings.Contains(body, "<!doctype html>") {
		t.Errorf("/ui does not lead to the page: %d", status)
	}
}

// TestFilesAreInert: nothing comes from elsewhere, and nothing makes markup or code of text.
func TestFilesAreInert(t *testing.T) {
	never := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc|javascript:|\bimport\(| style="| on[a-z]+="|<script>|@import`)
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z]`)
	for name, text := range files(t) {
		if found := never.FindString(text); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		text = strings.NewReplacer("http://www.w3.org/2000/svg", "", "http://bookinfo.example.com", "").Replace(text)
		text = regexp.MustCompile(`(?m)^\s*// .*$`).ReplaceAllString(text, "")
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s has an address: %q", name, found)
		}
	}
}

// TestOtherPagesAreKeptOut: the guard of the admin server holds for the page too.
func TestOtherPagesAreKeptOut(t *testing.T) {
	here := serve(t, (&proxy{}).options())
	for _, target := range []string{"/ui/events", "/ui/state", "/ui/"} {
		request, err := http.NewRequest(http.MethodGet, "http://"+here+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "https://elsewhere.example")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s is answered %s to another page", target, response.Status)
		}
	}
}
