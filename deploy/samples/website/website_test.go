package website

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestColours(t *testing.T) {
	t.Parallel()
	for _, colour := range Colours() {
		h, err := NewHandler(colour)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{"/": `<body class="` + colour + `">`, "/colour": colour + "\n", "/health": "healthy"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %s: %d %s", colour, path, w.Code, w.Body)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/other", nil))
		if w.Code != 404 {
			t.Errorf("%s /other: %d", colour, w.Code)
		}
	}
	if _, err := NewHandler("mauve"); err == nil || !strings.Contains(err.Error(), "mauve") {
		t.Errorf("error %v", err)
	}
}
