package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage: the later results of a work count, and what stands around the figures stays.
func TestPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	page := write("page.md", "# Title\n"+pageBegin+"old\n"+pageEnd+"the rest\n")
	first := write("a.json", `{"how": "5 rounds", "records": [
		{"work": "tls-1k", "peer": "sluice", "round": 1, "figure": "cpu", "value": 9}, {"work": "tls-1k", "peer": "nginx", "round": 1, "figure": "cpu", "value": 10},
		{"work": "http1-1k", "peer": "sluice", "round": 1, "figure": "cpu", "value": 7}, {"work": "http1-1k", "peer": "nginx", "round": 1, "figure": "cpu", "value": 10}]}`)
	second := write("b.json", `{"how": "7 rounds", "records": [
		{"work": "http1-1k", "peer": "sluice", "round": 1, "figure": "cpu", "value": 1}, {"work": "http1-1k", "peer": "nginx", "round": 1, "figure": "cpu", "value": 10},
		{"work": "tls-1k", "peer": "sluice", "round": 1, "figure": "cpu", "value": 8}, {"work": "tls-1k", "peer": "nginx", "round": 1, "figure": "cpu", "value": 10}]}`)
	none := write("c.json", `{"how": "9 rounds", "records": [{"work": "http1-1k", "peer": "sluice", "round": 1, "figure": "cpu", "value": 5}]}`)
	third := write("d.json", `{"how": "5 rounds", "when": "2026-01-02T03:04:00Z", "records": [{"work": "quiet", "peer": "sluice", "round": 1, "figure": "cpu", "value": 9}]}`)
	if status := execute(t.Context(), []string{"page", page, none, first, second + ":tls-1k,weights", third}); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	for _, want := range []string{"# Title\n", "the rest\n", "0001-01-01 00:00 UTC to 2026-01-02 03:04 UTC. 5 rounds", "7 rounds", "| TLS keep-alive, 1 KB | 0.80 |\n", "| HTTP/1.1 keep-alive, 1 KB | 0.70 |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "old") || strings.Contains(got, "0.90") || strings.Contains(got, "9 rounds") || strings.Count(got, "5 rounds") != 1 {
		t.Errorf("what was to go is still there:\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "images", "cpu.svg")); err != nil {
		t.Error(err)
	}
	if status := execute(t.Context(), []string{"page", first, second}); status != 1 {
		t.Errorf("a page without a place: exit status %d", status)
	}
	// What is not results leaves the page as it is.
	for name, text := range map[string]string{
		"nothing": "", "broken": `{"how": "5 rounds", "records": [{"work": `, "another list": `[]`, "another object": `{"version": 2}`,
		"other records":      `{"how": "5 rounds", "records": [{"name": "tls-1k", "value": 1}]}`,
		"others":             `{"how": "5 rounds", "records": [{"work": "tls-1k", "peer": "A-main", "round": 1, "figure": "cpu", "value": 9}]}`,
		"not what is wanted": `{"how": "5 rounds", "records": [{"work": "quiet", "peer": "sluice", "round": 1, "figure": "cpu", "value": 9}]}`,
	} {
		if status := execute(t.Context(), []string{"page", page, write("e.json", text) + ":tls-1k"}); status != 1 {
			t.Errorf("%s: exit status %d", name, status)
		}
		if again, err := os.ReadFile(page); err != nil || string(again) != got {
			t.Fatalf("%s: the page is now %q, %v", name, again, err)
		}
	}
}
