package ui

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestEvents: a page is told everything once, and then what changed, for longer than a request
// may take.
func TestEvents(t *testing.T) {
	p := &proxy{}
	began := time.Now()
	page := openInTime(t, serveWithin(t, p.options(), 50*time.Millisecond))
	if kind := page.response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("the stream is of type %q", kind)
	}
	first := page.next()
	for name := range sectionIndex {
		if first.Proxies[0][name] == nil {
			t.Errorf("the first event has no %s", name)
		}
	}
	if i := first.info(t, 0); i.Generation != 7 || i.Name != "gateway" || len(i.EdgeBounds) != 2 {
		t.Errorf("the proxy says of itself %+v", i)
	}
	last := first.At
	for time.Since(began) < 250*time.Millisecond { // five times what a request may take
		u := page.next()
		for _, fixed := range []string{"info", "routes", "conditions", "certificates", "listeners", "failures", "traffic"} {
			if u.Proxies[0][fixed] != nil {
				t.Fatalf("%s comes again although it is the same", fixed)
			}
		}
		if u.Proxies[0]["edges"] == nil || u.Proxies[0]["clusters"] == nil || u.At < last {
			t.Fatalf("the numbers do not move: %v", u)
		}
		last = u.At
	}
	err := errors.New("draining")
	p.notReady.Store(&err)
	eventually(t, "the proxy is not ready", func() bool {
		u := page.next()
		return u.Proxies[0]["info"] != nil && u.info(t, 0).NotReady == "draining"
	})
	second := openInTime(t, strings.TrimPrefix(page.response.Request.URL.Host, "http://"))
	if u := second.next(); u.info(t, 0).NotReady != "draining" || u.Proxies[0]["routes"] == nil {
		t.Errorf("a page that comes later is not told everything: %v", u)
	}
}

// TestNobodyLooks: nothing is asked of the proxy where no page is open, and no goroutine stays.
func TestNobodyLooks(t *testing.T) {
	p := &proxy{}
	address := serve(t, p.options())
	if _, _, body := get(t, address+"/ui/"); !strings.Contains(body, "<!doctype html>") {
		t.Fatal("no page")
	}
	http.DefaultClient.CloseIdleConnections()
	if n := p.asked.Load(); n != 0 {
		t.Fatalf("the proxy was asked %d times before anybody looked", n)
	}
	var before int
	eventually(t, "the first request's goroutines end", func() bool {
		n := runtime.NumGoroutine()
		same := n == before
		before = n
		return same
	})
	for range 3 {
		a, b := open(t, address), open(t, address)
		a.next()
		b.next()
		a.close()
		b.next()
		b.close()
		eventually(t, "the pages' goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	}
	eventually(t, "the proxy is asked no more after everybody has gone", func() bool {
		n := p.asked.Load()
		time.Sleep(50 * time.Millisecond) // ten updates' time
		return p.asked.Load() == n
	})
}

// TestTooManyPages: those beyond the bound are refused, and may come when others go.
func TestTooManyPages(t *testing.T) {
	address := serve(t, (&proxy{}).options())
	var pages []*page
	for range MaxListeners {
		pages = append(pages, open(t, address))
	}
	for _, p := range pages {
		p.next()
	}
	refused := open(t, address)
	text, _ := io.ReadAll(refused.response.Body)
	if refused.response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "16 pages are open already") {
		t.Errorf("one page too many is answered %s %s", refused.response.Status, text)
	}
	pages[3].close()
	eventually(t, "there is room again", func() bool {
		p := open(t, address)
		defer p.close()
		return p.response.StatusCode == http.StatusOK
	})
	if u := pages[0].next(); u.At == 0 {
		t.Error("the others are not told any more")
	}
}

// TestSlowPage: a page that does not read keeps nobody waiting, and is not told twice.
func TestSlowPage(t *testing.T) {
	o := (&proxy{}).options()
	big := strings.Repeat("x", 256<<10)
	o.Failures = func() []Failure { return []Failure{{Path: big + time.Now().String()}} }
	address := serve(t, o)
	slow, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /ui/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	quick := open(t, address)
	for range 30 {
		quick.next()
	}
}

func TestSnapshotNumbers(t *testing.T) {
	told := func(text string) []answer {
		return []answer{{id: "a", sections: sections{"info": []byte(text), "edges": []byte("[]")}}}
	}
	var s *snapshot
	s = s.follow(1, time.UnixMilli(1), told("1"))
	s = s.follow(2, time.UnixMilli(2), told("2"))
	s = s.follow(3, time.UnixMilli(3), []answer{{id: "a", err: errors.New("gone\n\"")}})
	for has, want := range map[uint64]string{
		0: `{"at":3,"proxies":[{"id":"a","name":"","trouble":"gone\n\"","edges":[],"info":2}]}`,
		1: `{"at":3,"proxies":[{"id":"a","name":"","trouble":"gone\n\"","info":2}]}`,
		2: `{"at":3,"proxies":[{"id":"a","name":"","trouble":"gone\n\""}]}`,
	} {
		if got := string(s.appendEvent(nil, has)); got != "event: update\ndata: "+want+"\n\n" {
			t.Errorf("from %d it is\n%swant\n%s", has, got, want)
		}
	}
}

// TestHeadOfEvents: HEAD asks for no stream, and takes no page's place.
func TestHeadOfEvents(t *testing.T) {
	t.Parallel()
	here := serve(t, (&proxy{}).options())
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for range MaxListeners + 1 {
		response, err := client.Head("http://" + here + "/ui/events")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("got %s, %v", response.Status, response.Header)
		}
	}
	open(t, here).next()
}
