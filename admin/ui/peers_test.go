package ui

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

var timeZero = time.UnixMilli(0)

// TestPeers: a page shows other proxies too, and says which of them cannot be asked.
func TestPeers(t *testing.T) {
	mate := &proxy{}
	mateOptions := mate.options()
	mateOptions.Name = "reviews-v2"
	there := serve(t, mateOptions)
	gone := fmt.Sprintf("127.0.0.1:%d", freeport.Take())
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	babbler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer babbler.Close()
	// A peer must not lead anywhere else.
	guide := httptest.NewServer(http.RedirectHandler("http://"+there+"/ui/state", http.StatusFound))
	defer guide.Close()
	silent := make(chan struct{})
	sleeper := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer sleeper.Close()
	defer close(silent)

	address := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	o := (&proxy{}).options()
	o.Peers = func() []Peer {
		return []Peer{
			{Address: there}, {Name: "twice", Address: there}, {Name: "gone", Address: gone}, {Address: address(stranger)},
			{Address: address(babbler)}, {Address: address(guide)}, {Address: address(sleeper)}, {Address: "no address"},
		}
	}
	began := time.Now()
	here := serve(t, o)
	page := open(t, here)
	u := page.next()
	if took := time.Since(began); took > peerPatience+20*time.Second {
		t.Errorf("peers held the page up for %v", took)
	}
	if len(u.Proxies) != 8 {
		t.Fatalf("%d proxies are shown, want itself and 7 others", len(u.Proxies))
	}
	// On a busy machine even a peer that answers may not do so in time; it is asked again.
	for until := time.Now().Add(patience); late(u) && time.Now().Before(until); {
		next := page.next()
		if next.Proxies[1]["info"] == nil {
			next.Proxies[1]["info"] = u.Proxies[1]["info"]
		}
		u = next
	}
	if i := u.info(t, 1); i.Name != "reviews-v2" || string(u.Proxies[1]["trouble"]) != `""` {
		t.Errorf("the peer is shown as %+v, %s", i, u.Proxies[1]["trouble"])
	}
	for n, want := range map[int]string{
		2: "is not reachable: connect: connection refused", 3: "answers 404 Not Found to /ui/state", 4: "cannot be read", 5: "answers 302 Found",
		6: "is not reachable: no answer in time", 7: "is not reachable",
	} {
		if trouble := string(u.Proxies[n]["trouble"]); !strings.Contains(trouble, want) {
			t.Errorf("of proxy %d it says %s, want %q", n, trouble, want)
		}
	}
	if string(u.Proxies[2]["name"]) != `"gone"` {
		t.Errorf("a peer's own name is lost: %s", u.Proxies[2]["name"])
	}
}

// late tells whether a peer beside the sleeper, the seventh proxy, did not answer in time.
func late(u update) bool {
	for n, p := range u.Proxies {
		if n != 6 && strings.Contains(string(p["trouble"]), "no answer in time") {
			return true
		}
	}
	return false
}

func TestPeerTellsTooMuch(t *testing.T) {
	there := serve(t, (&proxy{}).options())
	p := newPeers(nil)
	// inTime asks until the peer answers in time, which it may not do on a busy machine.
	inTime := func() (err error) {
		for until := time.Now().Add(patience); time.Now().Before(until); {
			if _, err = p.state(t.Context(), Peer{Address: there}); err == nil || !strings.Contains(err.Error(), "no answer in time") {
				return err
			}
		}
		return err
	}
	if err := inTime(); err != nil {
		t.Error(err)
	}
	p.limit = 100
	if err := inTime(); err == nil || !strings.Contains(err.Error(), "tells more than 100 bytes of itself") {
		t.Errorf("it ends with %v", err)
	}
	p.client.CloseIdleConnections()
}

// TestPeerComesBack: while a peer cannot be asked, its page keeps what it told last.
func TestPeerComesBack(t *testing.T) {
	s := (*snapshot)(nil).follow(1, timeZero, []answer{{id: "a", sections: sections{"info": []byte("1")}}})
	s = s.follow(2, timeZero, []answer{{id: "a", err: fmt.Errorf("away")}})
	s = s.follow(3, timeZero, []answer{{id: "a", sections: sections{"info": []byte("1")}}})
	if p := s.proxies[0]; p.trouble != "" || p.sections["info"].since != 1 {
		t.Errorf("it is %+v", p)
	}
}

// TestAskPeer: only explain and why are handed on, and only to peers.
func TestAskPeer(t *testing.T) {
	var asked []string
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, `{"title":"tea"}`)
	}))
	defer peer.Close()
	o := (&proxy{}).options()
	mate := peer.Listener.Addr().String()
	o.Peers = func() []Peer { return []Peer{{Address: mate}} }
	here := serve(t, o)
	for path, want := range map[string]int{
		"/ui/peer/" + mate + "/explain?url=http://a/b%3Fc": http.StatusTeapot,
		"/ui/peer/" + mate + "/why/a%20b%3Fc%23d":          http.StatusTeapot,
		"/ui/peer/" + mate + "/why/..%2Fquitquitquit":      http.StatusTeapot,
		"/ui/peer/" + mate + "/config_dump":                http.StatusNotFound,
		"/ui/peer/" + mate + "/quitquitquit":               http.StatusNotFound,
		"/ui/peer/127.0.0.1:1/explain":                     http.StatusNotFound,
	} {
		status, header, body := get(t, here+path)
		if status != want || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s is answered %d %s", path, status, body)
		}
	}
	if got := strings.Join(asked, "\n"); !strings.Contains(got, "GET /explain?url=http://a/b%3Fc") || !strings.Contains(got, "GET /why/a%20b%3Fc%23d") || !strings.Contains(got, "GET /why/..%2Fquitquitquit") || len(asked) != 3 {
		t.Errorf("the peer was asked %q", asked)
	}
	peer.Close()
	if status, _, body := get(t, here+"/ui/peer/"+mate+"/explain"); status != http.StatusBadGateway || !strings.Contains(body, "not reachable") {
		t.Errorf("a peer that is gone: %d %s", status, body)
	}
}
