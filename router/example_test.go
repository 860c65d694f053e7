package router_test

import (
	"encoding/json"
	"fmt"

	"github.com/sluicegate/sluice/router"
)

// spec sends requests of jason to v2 of reviews, and everybody else's to v1.
func spec() *router.Spec {
	toV2 := &router.Route{
		Match: router.Match{
			Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/reviews"},
			Rest: &router.Conditions{Headers: []router.HeaderMatch{{Name: "end-user", Match: router.StringMatch{Kind: router.MatchExact, Value: "jason"}}}},
		},
		RouteAction: &router.RouteAction{Name: "jason", Destinations: []router.Destination{{Cluster: "outbound|9080|v2|reviews"}}},
	}
	toV1 := &router.Route{
		Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/reviews"}},
		RouteAction: &router.RouteAction{Name: "default", Rewrite: &router.Rewrite{Prefix: "/api/reviews", HasPrefix: true}, Destinations: []router.Destination{{Cluster: "outbound|9080|v1|reviews"}}},
	}
	return &router.Spec{
		Listeners: []*router.Listener{{
			Name: "0.0.0.0_80",
			Port: 80,
			Tables: []*router.RouteTable{{
				Name: "http.80",
				Port: 80,
				VirtualHosts: []*router.VirtualHost{{
					Name:    "shop.example.com:80",
					Domains: []string{"shop.example.com"},
					Routes:  []*router.Route{toV2, toV1},
				}},
			}},
		}},
		Clusters: []*router.Cluster{{Name: "outbound|9080|v1|reviews"}, {Name: "outbound|9080|v2|reviews"}},
	}
}

func Example() {
	table, problems := router.Build(spec(), nil)
	fmt.Println(len(problems), "problems")

	request := &router.Request{
		Listener: "0.0.0.0_80", Method: "GET", Scheme: "http",
		Authority: "shop.example.com:80", Path: "/reviews/7?full=1",
	}
	decision := table.Route(request)
	destination := decision.Pick(42)
	fmt.Println(decision.Outcome, decision.Route.Name)
	fmt.Println(destination.Cluster.Name)
	fmt.Println(string(decision.AppendPath(nil, request)))
	// Output:
	// 0 problems
	// Forward default
	// outbound|9080|v1|reviews
	// /api/reviews/7?full=1
}

func ExampleTable_Explain() {
	table, _ := router.Build(spec(), nil)
	explanation := table.Explain(&router.Request{
		Listener: "0.0.0.0_80", Method: "GET", Scheme: "http",
		Authority: "shop.example.com", Path: "/reviews/7",
	})
	for _, rule := range explanation.Earlier {
		for _, failed := range rule.Failed {
			fmt.Println(rule.Name, "did not match:", failed)
		}
	}
	route, _ := json.Marshal(explanation.Route.Destinations)
	fmt.Println(string(route))
	// Output:
	// jason did not match: header end-user: wants exact "jason", is absent
	// [{"cluster":"outbound|9080|v1|reviews","weight":0,"authority":"shop.example.com","policies":[{"name":"balancer","text":"LEAST_REQUEST"}]}]
}

func ExampleBuild() {
	first, _ := router.Build(spec(), nil)
	broken := spec()
	broken.Listeners[0].Tables[0].VirtualHosts[0].Routes[0].Match.Path = router.StringMatch{Kind: router.MatchRegex, Value: "["}
	second, problems := router.Build(broken, first)
	fmt.Println(second.Generation(), problems[0].Message)
	// Output:
	// 2 path: error parsing regexp: missing closing ]: `[`; see https://github.com/google/re2/wiki/Syntax
}
