package router

import "testing"

func TestDescribe(t *testing.T) {
	t.Parallel()
	match := &Match{
		Path: StringMatch{MatchPrefix, "/API"},
		Rest: &Conditions{
			IgnorePathCase: true,
			Method:         StringMatch{MatchExact, "GET"}, Authority: StringMatch{MatchRegex, ".*\\.com"},
			Headers: []HeaderMatch{
				{Name: "end-user", Match: StringMatch{MatchPrefix, "j"}},
				{Name: "x-skip", Match: StringMatch{Kind: MatchPresent}, Invert: true},
			},
			Query: []QueryMatch{{Name: "q", Match: StringMatch{MatchExact, "1"}}},
		},
	}
	for got, want := range map[string]string{
		match.String():      `/API* (any case), method=GET, authority~.*\.com, end-user=j*, not x-skip present, ?q=1`,
		new(Match).String(): "any request",
		Origin{Kind: "VirtualService", Namespace: "a", Name: "b", Field: "http[0]"}.String():                                            "VirtualService a/b http[0]",
		(&Route{RouteAction: &RouteAction{Direct: &DirectResponse{Status: 418}}}).Action():                                              "answer 418",
		(&Route{RouteAction: &RouteAction{Redirect: &Redirect{Status: 302, Scheme: "https", Host: "a.com", Port: 8443}}}).Action():      "302 to https://a.com:8443<path>",
		(&Route{RouteAction: &RouteAction{Redirect: &Redirect{Status: 301, HasPrefix: true, PrefixRewrite: "/v2"}}}).Action():           "301 to /v2*",
		(&Route{RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "a", Weight: 7}}}}).Action():                            "a",
		(&Route{RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "a", Weight: 1}, {Cluster: "b", Weight: 2}}}}).Action(): "33.3% a, 66.7% b",
		ResolutionOriginal.String() + " " + LeastRequest.String():                                                                       "ORIGINAL_DST LEAST_REQUEST",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
