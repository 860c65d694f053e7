package http3

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// borrower answers with fields in a buffer that is another's as soon as it has answered.
type borrower struct{ handler }

func (borrower) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	var buffers [][]byte
	lend := func(text string) string {
		b := []byte(text)
		buffers = append(buffers, b)
		return unsafe.String(&b[0], len(b))
	}
	field := func(name, value string) []router.Header {
		return []router.Header{{Name: lend(name), Value: lend(value)}, {Name: lend(name), Value: lend("again")}}
	}
	body := []byte(strings.Repeat("b", int(ex.Request.Path[1]-'0')*1000))
	if ex.Request.Path[2:] == "/whole" {
		r := &proxy.Response{Status: 200, Headers: field("X-Field", "head"), Body: proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}}
		down.Respond(ex, r, body, true)
	} else {
		r := &proxy.Response{Status: 200, Headers: field("x-field", "head"), Body: proxy.Body{Kind: proxy.BodyStream}}
		down.Respond(ex, r, body, false)
		down.WriteBody(nil, field("X-Trailer", "tail"), true)
	}
	for _, b := range append(buffers, body) {
		for i := range b {
			b[i] = '!'
		}
	}
}

// TestFieldsAreOwn: what a response says is not what comes into the upstream's buffer after it,
// however short it is.
func TestFieldsAreOwn(t *testing.T) {
	_, client, url := serve(t, func(o *Options) { o.HTTP.Engine = borrower{} })
	for _, path := range []string{"/0/whole", "/1/whole", "/9/whole", "/0/stream", "/1/stream", "/9/stream"} {
		resp, err := client.Get(url + path)
		if err != nil {
			t.Fatal(path, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || len(body) != int(path[1]-'0')*1000 || strings.Trim(string(body), "b") != "" {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
		if got := strings.Join(resp.Header.Values("x-field"), " "); got != "head again" {
			t.Errorf("%s: %q is in the head, which is %v", path, got, resp.Header)
		}
		if path[2:] == "/stream" && !reflect.DeepEqual(resp.Trailer, http.Header{"X-Trailer": {"tail", "again"}}) {
			t.Errorf("%s: the trailers are %v", path, resp.Trailer)
		}
	}
}
