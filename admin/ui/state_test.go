package ui

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

func TestState(t *testing.T) {
	p := &proxy{}
	s := &source{o: p.options().withDefaults()}
	state := s.state()
	want := Route{
		ID: "0.0.0.0_8080|shop:80|VirtualService default/shop http[0]|split", Listener: "0.0.0.0_8080", Table: "http.80", Host: "shop:80",
		Domains: []string{"shop.example.com"}, Name: "split", Match: `path prefix "/cart"`, Action: "outbound|80|v1|shop (90), outbound|80|v9|shop (10)",
		Origin: "VirtualService default/shop http[0]",
		Destinations: []Destination{
			{Cluster: "outbound|80|v1|shop", Weight: 90, Host: "shop", Subset: "v1", Port: 80},
			{Cluster: "outbound|80|v9|shop", Weight: 10, Host: "shop", Subset: "v9", Port: 80, Missing: true},
		},
	}
	if len(state.Routes) != 1 || !reflect.DeepEqual(state.Routes[0], want) {
		t.Errorf("routes are\n%+v, want\n%+v", state.Routes, want)
	}
	if len(state.Edges) != 1 || state.Edges[0].Errors != 2 || !reflect.DeepEqual(state.Edges[0].Buckets, []uint64{1, 2, 5}) {
		t.Errorf("edges that the page does not tell apart are not added up: %+v", state.Edges)
	}
	if len(state.Clusters) != 1 || state.Clusters[0].Stats != nil {
		t.Errorf("clusters are %+v", state.Clusters)
	}
	if c := state.Conditions; len(c) != 1 || c[0].Kind != "VirtualService" || c[0].File != "shop.yaml" || c[0].Line != 12 {
		t.Errorf("conditions are %+v", c)
	}
	text, err := json.Marshal(state)
	if err != nil || strings.Contains(string(text), ":null") {
		t.Errorf("null is no list: %s %v", text, err)
	}
}

// TestRoutesAreListedOnce: as long as the configuration is the same, nothing is listed again.
func TestRoutesAreListedOnce(t *testing.T) {
	s := &source{}
	spec := func(host string) *router.Spec {
		return &router.Spec{Listeners: []*router.Listener{{Tables: []*router.RouteTable{{VirtualHosts: []*router.VirtualHost{{Name: host, Routes: []*router.Route{{RouteAction: &router.RouteAction{}}}}}}}}}}
	}
	one, two := spec("one"), spec("two")
	first := s.routes(one)
	if again := s.routes(one); &first[0] != &again[0] {
		t.Error("the routes of the same configuration are listed again")
	}
	if changed := s.routes(two); changed[0].Host != "two" {
		t.Errorf("the routes are still those of %s", changed[0].Host)
	}
	if none := s.routes(nil); none == nil || len(none) != 0 {
		t.Errorf("without a configuration there are %v", none)
	}
}

// TestSectionsHoldTheState: what is cut into sections is the state, and parse takes them back.
func TestSectionsHoldTheState(t *testing.T) {
	s := &source{o: (&proxy{}).options().withDefaults()}
	state := s.state()
	parts, err := split(state)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.MarshalIndent(state, "", "\n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, parts) {
		t.Errorf("a state that was sent is\n%s, want\n%s", got, parts)
	}
	for name, text := range got {
		if strings.ContainsAny(string(text), "\n\r") {
			t.Errorf("section %s breaks the line", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `{"info":{"name":"a"},"edges":[]}`, "{\"info\":\n{\r}}", `{"x":1,"routes":[1,"\u2028"]}`, `[`, `{"info":`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parts, err := parse([]byte(text))
		if err != nil {
			return
		}
		s := (*snapshot)(nil).follow(1, timeZero, []answer{{id: "a", sections: parts}})
		event := string(s.appendEvent(nil, 0))
		if strings.Count(event, "\n") != 3 || !json.Valid([]byte(strings.TrimPrefix(strings.Split(event, "\n")[1], "data: "))) {
			t.Errorf("%q makes the event %q", text, event)
		}
	})
}
