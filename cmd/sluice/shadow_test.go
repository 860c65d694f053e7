package main

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/router"
)

func TestCoversMatch(t *testing.T) {
	t.Parallel()
	exact := func(s string) router.StringMatch { return router.StringMatch{Kind: router.MatchExact, Value: s} }
	prefix := func(s string) router.StringMatch { return router.StringMatch{Kind: router.MatchPrefix, Value: s} }
	regex := func(s string) router.StringMatch { return router.StringMatch{Kind: router.MatchRegex, Value: s} }
	present := router.StringMatch{Kind: router.MatchPresent}
	header := func(name string, m router.StringMatch) []router.HeaderMatch {
		return []router.HeaderMatch{{Name: name, Match: m}}
	}
	without := []router.HeaderMatch{{Name: "a", Match: exact("1"), Invert: true}}
	type match = router.Match
	type rest = router.Conditions
	anyCase := &rest{IgnorePathCase: true}
	for _, test := range []struct {
		name string
		a, b router.Match
		want bool
	}{
		{"all", match{}, match{Path: exact("/x")}, true},
		{"not all", match{Path: prefix("/")}, match{}, false},
		{"prefix of exact", match{Path: prefix("/a")}, match{Path: exact("/abc")}, true},
		{"prefix of prefix", match{Path: prefix("/a")}, match{Path: prefix("/a")}, true},
		{"longer prefix", match{Path: prefix("/ab")}, match{Path: prefix("/a")}, false},
		{"exact of prefix", match{Path: exact("/a")}, match{Path: prefix("/a")}, false},
		{"same regex", match{Path: regex("/a.*")}, match{Path: regex("/a.*")}, true},
		{"prefix of regex", match{Path: prefix("/a")}, match{Path: regex("/a.*")}, false},
		{"any case", match{Path: prefix("/A"), Rest: anyCase}, match{Path: exact("/aB")}, true},
		{"one case of any", match{Path: prefix("/a")}, match{Path: exact("/a"), Rest: anyCase}, false},
		{"method of none", match{Rest: &rest{Method: exact("GET")}}, match{}, false},
		{"method of itself", match{Rest: &rest{Method: exact("GET")}}, match{Rest: &rest{Method: exact("GET")}, Path: exact("/")}, true},
		{"header of none", match{Rest: &rest{Headers: header("a", exact("1"))}}, match{}, false},
		{"header of another", match{Rest: &rest{Headers: header("a", exact("1"))}}, match{Rest: &rest{Headers: header("b", exact("1"))}}, false},
		{"header present", match{Rest: &rest{Headers: header("a", present)}}, match{Rest: &rest{Headers: header("a", exact("1"))}}, true},
		{"header absent", match{Rest: &rest{Headers: without}}, match{Rest: &rest{Headers: header("a", exact("1"))}}, false},
		{"header absent twice", match{Rest: &rest{Headers: without}}, match{Rest: &rest{Headers: without}}, true},
		{"query", match{Rest: &rest{Query: []router.QueryMatch{{Name: "q", Match: prefix("1")}}}}, match{Rest: &rest{Query: []router.QueryMatch{{Name: "q", Match: exact("12")}}}}, true},
		{"query of none", match{Rest: &rest{Query: []router.QueryMatch{{Name: "q", Match: prefix("1")}}}}, match{}, false},
	} {
		if got := coversMatch(&test.a, &test.b); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestPathIndexMissesNothing compares the index with trying every earlier route.
func TestPathIndexMissesNothing(t *testing.T) {
	t.Parallel()
	var matches []router.Match
	for _, kind := range []router.MatchKind{router.MatchAny, router.MatchExact, router.MatchPrefix, router.MatchRegex} {
		for _, value := range []string{"/", "/a", "/A", "/ab", "/a/b"} {
			for _, fold := range []bool{false, true} {
				matches = append(matches, router.Match{Path: router.StringMatch{Kind: kind, Value: value}, Rest: &router.Conditions{IgnorePathCase: fold}})
			}
		}
	}
	pairs := 0
	for i, a := range matches {
		for j, b := range matches {
			earlier := &router.Route{Match: a, Object: &router.Object{Name: fmt.Sprint("a", i)}}
			later := &router.Route{Match: b, Object: &router.Object{Name: fmt.Sprint("b", j)}}
			var x pathIndex
			x.add(earlier)
			if got, want := x.covering(later) != nil, coversMatch(&a, &b); got != want {
				t.Errorf("%+v before %+v: the index says %v, comparing says %v", a, b, got, want)
			} else if want {
				pairs++
			}
		}
	}
	if pairs < 100 {
		t.Errorf("only %d pairs cover each other", pairs)
	}
}
