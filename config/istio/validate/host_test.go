package validate

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	tests := []struct {
		name            string
		plain, wildcard bool
	}{
		{"a", true, true},
		{"A-1.b", true, true},
		{"a.b.", true, true},
		{long + ".com", true, true},
		{long + "a.com", false, false},
		{strings.Repeat("a.", 128), false, false},
		{"", false, false},
		{"a..b", false, false},
		{"-a.com", false, false},
		{"a-.com", false, false},
		{"a_b.com", false, false},
		{"a.com:80", false, false},
		{"a/b", false, false},
		{"é.com", false, false},
		{"5", false, true},
		{"a.5", false, false},
		{"10.0.0.1", false, false},
		{"*", false, true},
		{"*.com", false, true},
		{"*a.com", false, true},
		{"*-a.com", false, true},
		{"a*.com", false, false},
		{"*.*.com", false, false},
		{"a.*.com", false, false},
		{"**", false, false},
	}
	for _, tt := range tests {
		if got := nameProblem(tt.name) == ""; got != tt.plain {
			t.Errorf("%.20q as a name: %v", tt.name, got)
		}
		if got := wildcardProblem(tt.name) == ""; got != tt.wildcard {
			t.Errorf("%.20q as a wildcard: %v", tt.name, got)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		wide, narrow string
		want         bool
	}{
		{"a.com", "a.com", true}, {"a.com", "b.com", false}, {"*", "a.com", true}, {"*", "*.com", true}, {"*.com", "*", false},
		{"*.com", "a.com", true}, {"*.com", "com", false}, {"*.com", "*.a.com", true}, {"*.a.com", "*.com", false}, {"a.com", "*.com", false},
	}
	for _, tt := range tests {
		if got := covers(tt.wide, tt.narrow); got != tt.want {
			t.Errorf("%s covers %s: %v", tt.wide, tt.narrow, got)
		}
	}
}
