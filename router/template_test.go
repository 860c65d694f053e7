package router

import (
	"reflect"
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	cases := []struct {
		value string
		want  []Segment
	}{
		{"", nil},
		{"plain", []Segment{{Literal: "plain"}}},
		{"100%%", []Segment{{Literal: "100%"}}},
		{"%%%%", []Segment{{Literal: "%%"}}},
		{"%DOWNSTREAM_REMOTE_ADDRESS%", []Segment{{Command: "DOWNSTREAM_REMOTE_ADDRESS"}}},
		{"a%REQ(X-A?:PATH)%b", []Segment{{Literal: "a"}, {Command: "REQ", Argument: "X-A?:PATH"}, {Literal: "b"}}},
		{"%REQ(:path):12%%PROTOCOL%", []Segment{{Command: "REQ", Argument: ":path", MaxLength: 12}, {Command: "PROTOCOL"}}},
		{"%START_TIME(%Y/%m/%d)%", []Segment{{Command: "START_TIME", Argument: "%Y/%m/%d"}}},
		{"%%%TLS_1%%%", []Segment{{Literal: "%"}, {Command: "TLS_1"}, {Literal: "%"}}},
	}
	for _, c := range cases {
		got, err := parseTemplate(c.value)
		if err != nil || !reflect.DeepEqual(got.Segments, c.want) {
			t.Errorf("%q: got %+v (%v), want %+v", c.value, got.Segments, err, c.want)
		}
		if got.String() != c.value {
			t.Errorf("%q is written as %q", c.value, got)
		}
		literal, ok := got.Literal()
		if plain := !strings.Contains(strings.ReplaceAll(c.value, "%%", ""), "%"); ok != plain || ok && literal != strings.ReplaceAll(c.value, "%%", "%") {
			t.Errorf("%q: literal %q, %v", c.value, literal, ok)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"%BROKEN":                       "closing percent sign",
		"50%":                           "write %%",
		"% A%":                          "write %%",
		"%req%":                         "write %%",
		"%REQ(a%":                       "closing parenthesis",
		"%REQ(a):x%":                    "length above 0",
		"%REQ(a):0%":                    "length above 0",
		"%REQ(a)x%":                     "closing percent sign",
		"%REQ(a):99999999999999999999%": "length above 0",
		"a\r\nb":                        "control character",
		"a\x00":                         "control character",
	} {
		if err := ValidateTemplate(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", value, err, want)
		}
	}
	if err := ValidateTemplate("tab\tand ünïcödé %PROTOCOL%"); err != nil {
		t.Error(err)
	}
}

// FuzzTemplate: what parses is written and read as the same.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"", "a", "%%", "%A%", "%REQ(X?Y):3%", "%A(%)%", "%A()%", "%A", "%", "%A:1%%%b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		first, err := parseTemplate(value)
		if (err == nil) != (ValidateTemplate(value) == nil) {
			t.Fatal("ValidateTemplate disagrees")
		}
		if err != nil {
			return
		}
		second, err := parseTemplate(first.String())
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%q: %+v is written as %q: %+v (%v)", value, first, first.String(), second, err)
		}
	})
}

// FuzzRewrite: whatever a rewrite makes of a path fits in a request line, and no query
// is lost.
func FuzzRewrite(f *testing.F) {
	f.Add("/api/(.*)", `/x/\1`, "/api/v1", "q=1")
	f.Add("a*", `\0\\`, "/aab", "")
	f.Add("", "x", "/é", "?")
	f.Add("(a)|(b)", `\2\1`, "ab", "&")
	f.Fuzz(func(t *testing.T, expression, substitution, path, query string) {
		if strings.ContainsFunc(path+query, func(r rune) bool { return r <= ' ' || r == 0x7f }) || strings.Contains(path, "?") || len(expression) > 100 {
			return
		}
		for _, rewrite := range []*Rewrite{
			{Regex: expression, Substitution: substitution},
			{Path: substitution},
			{Prefix: substitution, HasPrefix: true},
		} {
			table, problems := Build(specOf(&VirtualHost{Domains: []string{"*"}, Routes: []*Route{{RouteAction: &RouteAction{Rewrite: rewrite, Destinations: []Destination{{Cluster: "c"}}}}}}), nil)
			if len(problems) > 0 {
				continue
			}
			r := request(path + "?" + query)
			d := table.Route(r)
			got := string(d.AppendPath(nil, r))
			if d.RewritesPath() && !strings.HasPrefix(got, "/") || !strings.HasSuffix(got, "?"+query) || strings.ContainsAny(got, " \r\n\x00") {
				t.Errorf("%+v made %q of %q", rewrite, got, r.Path)
			}
		}
	})
}
