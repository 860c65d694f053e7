package httpbin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method, target, contentType, body string
		status                            int
		// want are parts of the answer.
		want []string
	}{
		{method: "GET", target: "/", status: 200, want: []string{"httpbin v2", "/anything"}},
		{method: "GET", target: "/health", status: 200, want: []string{"httpbin is healthy"}},
		{method: "GET", target: "/get?a=1&b=2&b=3&c=%3C", status: 200, want: []string{
			`"a": "1"`, `"c": "<"`, `"url": "https://bin.example.com/get?a=1&b=2&b=3&c=%3C"`, `"origin": "9.9.9.9"`, `"version": "v2"`, `"method": "GET"`, `"Host": "bin.example.com"`}},
		{method: "POST", target: "/get", status: 405},
		{method: "POST", target: "/post", contentType: "application/json", body: `{"x":[1]}`, status: 200, want: []string{`"data": "{\"x\":[1]}"`, `"json": {`}},
		{method: "POST", target: "/post", contentType: "application/x-www-form-urlencoded", body: `k=v&l=w`, status: 200, want: []string{`"k": "v"`, `"data": ""`}},
		{method: "PUT", target: "/put", body: "text", status: 200, want: []string{`"data": "text"`, `"method": "PUT"`}},
		{method: "PATCH", target: "/patch", body: "\xff\xfe", status: 200, want: []string{`"data": "2 bytes that are not text"`}},
		{method: "DELETE", target: "/delete", status: 200, want: []string{`"data": ""`}},
		{method: "POST", target: "/post", body: strings.Repeat("x", maxBody+1), status: 413},
		{method: "OPTIONS", target: "/anything/at/all?q=1", status: 200, want: []string{`"method": "OPTIONS"`, `/anything/at/all?q=1"`}},
		{method: "GET", target: "/headers", status: 200, want: []string{`"X-Twice": "a,b"`, `"version": "v2"`}},
		{method: "GET", target: "/ip", status: 200, want: []string{`"origin": "9.9.9.9"`}},
		{method: "GET", target: "/user-agent", status: 200, want: []string{`"user-agent": "test/1"`}},
		{method: "GET", target: "/status/418", status: 418},
		{method: "POST", target: "/status/503,503", status: 503},
		{method: "GET", target: "/status/99", status: 400, want: []string{"from 200 to 599"}},
		{method: "GET", target: "/status/x", status: 400},
		{method: "GET", target: "/delay/0", status: 200, want: []string{`"url": "https://bin.example.com/delay/0"`}},
		{method: "GET", target: "/delay/NaN", status: 400},
		{method: "GET", target: "/delay/-1", status: 400},
		{method: "GET", target: "/bytes/x", status: 400},
		{method: "GET", target: "/bytes/102401", status: 400, want: []string{"102400"}},
		{method: "GET", target: "/stream/101", status: 400},
		{method: "GET", target: "/redirect/0", status: 400},
		{method: "GET", target: "/redirect/1", status: 302},
		{method: "GET", target: "/response-headers?x-a=1", status: 200, want: []string{`"x-a": "1"`}},
		{method: "GET", target: "/nothing", status: 404},
	}
	h := NewHandler("v2")
	for _, tt := range tests {
		r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
		r.Host = "bin.example.com"
		r.Header = http.Header{"X-Forwarded-For": {"9.9.9.9"}, "X-Forwarded-Proto": {"https"}, "X-Twice": {"a", "b"}, "User-Agent": {"test/1"}, "Content-Type": {tt.contentType}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %s: %d, want %d: %s", tt.method, tt.target, w.Code, tt.status, w.Body)
		}
		for _, want := range tt.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %s: no %s in\n%s", tt.method, tt.target, want, w.Body)
			}
		}
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	NewHandler("v1").ServeHTTP(w, httptest.NewRequest("GET", "/bytes/1000", nil))
	if w.Body.Len() != 1000 || w.Header().Get("Content-Length") != "1000" {
		t.Errorf("%d bytes, announced as %q", w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestStreamSendsLines(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(NewHandler("v1"))
	defer s.Close()
	res, err := http.Get(s.URL + "/stream/3")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ContentLength != -1 {
		t.Errorf("length %d known beforehand", res.ContentLength)
	}
	decoder := json.NewDecoder(res.Body)
	for i := range 3 {
		var line struct{ ID int }
		if err := decoder.Decode(&line); err != nil || line.ID != i {
			t.Errorf("line %d: %+v, %v", i, line, err)
		}
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Errorf("after three lines: %v", err)
	}
}

func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(NewHandler("v1"))
	defer s.Close()
	res, err := http.Get(s.URL + "/redirect/3")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Request.URL.Path != "/get" {
		t.Errorf("%d at %s", res.StatusCode, res.Request.URL)
	}
}

func TestDelayEndsWithItsClient(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := httptest.NewRecorder()
	started := time.Now()
	NewHandler("v1").ServeHTTP(w, httptest.NewRequest("GET", "/delay/9", nil).WithContext(ctx))
	if w.Body.Len() != 0 || time.Since(started) > 8*time.Second {
		t.Errorf("%q after %v", w.Body, time.Since(started))
	}
}
