package recent

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

func TestTap(t *testing.T) {
	t.Parallel()
	table := shop(t)
	r := New(Options{})
	r.Publish(table)
	f, err := ParseFilter(url.Values{"status": {"404"}})
	if err != nil {
		t.Fatal(err)
	}
	tap := r.Subscribe(f)
	other := r.Subscribe(Filter{Every: 3})
	r.Complete(0, ended(table, "/cart"))
	r.Complete(0, missed(table, "/basket"))
	if s := <-tap.C; s.Path != "/basket" || s.Status != 404 || s.Headers[1].Value != redacted {
		t.Errorf("got %+v", s)
	}
	for range 3 * tapBuffer * 2 {
		r.Complete(0, missed(table, "/basket"))
	}
	if d := tap.Dropped(); d != 3*tapBuffer*2-tapBuffer {
		t.Errorf("%d were dropped", d)
	}
	if s := <-other.C; s.Path != "/cart" || s.Generation != 1 {
		t.Errorf("the first of three is %+v", s)
	}
	if d := other.Dropped(); d != (2+3*tapBuffer*2+2)/3-tapBuffer {
		t.Errorf("%d of one in three were dropped", d)
	}
	tap.Close()
	other.Close()
	if r.taps.list.Load() != nil {
		t.Error("closed taps still cost something")
	}
	r.Close()
	<-tap.Over
}

func TestFilter(t *testing.T) {
	t.Parallel()
	table := shop(t)
	for query, want := range map[string]bool{
		"":                                true,
		"method=get":                      true,
		"method=POST":                     false,
		"method=POST&method=GET":          true,
		"host=shop.example.com":           true,
		"host=*.example.com":              true,
		"host=example.com":                false,
		"listener=0.0.0.0_8080":           true,
		"listener=0.0.0.0_80":             false,
		"path=/cart":                      true,
		"path=/card":                      false,
		"path-regex=%5C%3Fa%3D":           true,
		"path-regex=%5E%2Fa":              false,
		"status=200":                      true,
		"status=2xx":                      true,
		"status=5xx":                      false,
		"status=200-204":                  true,
		"status=201-204&status=404":       false,
		"flag=-":                          true,
		"flag=*":                          false,
		"flag=uh":                         false,
		"route=cart":                      true,
		"route=default/shop":              true,
		"route=vip":                       false,
		"cluster=v1|cart":                 true,
		"cluster=v2|cart":                 false,
		"min-duration=12ms":               true,
		"min-duration=13ms":               false,
		"header=user-agent":               true,
		"header=User-Agent: curl":         true,
		"header=user-agent: wget":         false,
		"header=x-none":                   false,
		"header=user-agent&header=cookie": true,
		"header=user-agent&header=x-none": false,
		"method=GET&status=2xx&host=shop.example.com&path=/cart&route=cart": true,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFilter(q)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if got := f.Matches(ended(table, "/cart?a=1")); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	f := Filter{Flags: []string{"NR"}}
	if ex := missed(table, "/x"); !f.Matches(ex) {
		t.Error("flag NR is not seen")
	}
	f = Filter{Routes: []string{"cart"}}
	if f.Matches(missed(table, "/x")) {
		t.Error("a request without a route has one")
	}
	ex := ended(table, "/cart")
	ex.GRPCStatus = "14"
	if f = (Filter{Statuses: []StatusRange{{503, 503}}}); !f.Matches(ex) {
		t.Error("a gRPC call that failed counts as good")
	}
	ex.Flags = proxy.FlagDownstreamTermination | proxy.FlagUpstreamReset
	if f = (Filter{Flags: []string{"dc"}}); !f.Matches(ex) {
		t.Error("one flag of two is not seen")
	}
}

func TestBadFilters(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"status=abc": "404", "status=9xx": "5xx", "status=500-400": "range", "path-regex=%5B": "missing closing",
		"min-duration=5": "250ms", "min-duration=-5s": "250ms", "header=:x": "name", "every=0": "from 1 up", "every=x": "from 1 up",
	} {
		q, _ := url.ParseQuery(query)
		if _, err := ParseFilter(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want something with %q", query, err, want)
		}
	}
	if name, unknown := UnknownParameter(url.Values{"status": nil, "statsu": nil, "count": nil}, "count"); !unknown || name != "statsu" {
		t.Errorf("got %q, %v", name, unknown)
	}
}

// FuzzFilter: no query makes a filter panic.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"status=4xx&method=GET", "path-regex=(a|b)*&every=3", "header=a:b&min-duration=1s", "flag=*&flag=-&host=*"} {
		f.Add(seed)
	}
	table := shop(f)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		filter, err := ParseFilter(q)
		if err != nil {
			return
		}
		start := time.Now()
		filter.Matches(ended(table, "/cart"))
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it takes %v", d)
		}
	})
}
