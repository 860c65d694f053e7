package filter

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// webClient is the client's side of a call: a body to read, some bytes at a time, and what was
// written.
type webClient struct {
	proxy.Downstream
	body    string
	at, per int
	out     bytes.Buffer
	head    proxy.Response
	ended   bool
}

func (c *webClient) ReadBody(p []byte) (int, error) {
	n := copy(p[:min(len(p), c.per)], c.body[c.at:])
	if c.at += n; c.at == len(c.body) {
		return n, io.EOF
	}
	return n, nil
}

func (c *webClient) Rewind() bool {
	c.at = 0
	return true
}

func (c *webClient) Respond(_ *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	c.head = *r
	return c.WriteBody(body, nil, end)
}

func (c *webClient) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if len(trailers) > 0 || c.ended {
		return errors.New("gRPC-Web has no trailers, and one end")
	}
	c.out.Write(p)
	c.ended = end
	return nil
}

func webCall(contentType, accept string) *proxy.Exchange {
	ex := &proxy.Exchange{Body: proxy.Body{Kind: proxy.BodyStream}}
	ex.Request.Headers = []router.Header{{Name: "content-type", Value: contentType}, {Name: "accept", Value: accept}}
	return ex
}

func TestIsGRPCWeb(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"application/grpc-web": true, "application/grpc-web+proto": true, "application/grpc-web; x=y": true, "application/grpc-web;x=y": true,
		"application/grpc-web-text": true, "application/grpc-web-text+json": true, "application/grpc-web-tex": false,
		"application/grpc": false, "application/grpc+proto": false, "application/grpc-webber": false, "": false,
	} {
		if got := IsGRPCWeb(contentType); got != want {
			t.Errorf("%q: %v", contentType, got)
		}
	}
}

// Content types are those of the other protocol; a response is text as the client says.
func TestGRPCWebContentTypes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ sent, accept, upstream, answered, got string }{
		{"application/grpc-web", "*/*", "application/grpc", "application/grpc", "application/grpc-web+proto"},
		{"application/grpc-web+proto", "application/grpc-web-text", "application/grpc+proto", "application/grpc", "application/grpc-web-text+proto"},
		{"application/grpc-web-text", "", "application/grpc", "application/grpc+proto", "application/grpc-web-text+proto"},
		{"application/grpc-web-text+proto", "application/grpc-web+proto", "application/grpc+proto", "application/grpc", "application/grpc-web+proto"},
		{"application/grpc-web+json; charset=x", "", "application/grpc+json", "application/grpc+json", "application/grpc-web+json"},
		{"application/grpc-web-text", "", "application/grpc", "text/html", "text/html"},
	} {
		ex, client := webCall(tc.sent, tc.accept), &webClient{}
		w, err := TranslateGRPCWeb(ex, client)
		if err != nil {
			t.Fatal(err)
		}
		if got := ex.Request.Headers[0].Value; got != tc.upstream || !ex.WantsTrailers {
			t.Errorf("%q reaches the upstream as %q", tc.sent, got)
		}
		w.Respond(ex, &proxy.Response{Status: 200, Headers: []router.Header{{Name: "content-type", Value: tc.answered}}}, nil, true)
		if got := client.head.Headers[0].Value; got != tc.got {
			t.Errorf("%+v: the client gets %q", tc, got)
		}
		w.End()
	}
}

// Of several content types the first counts, and is the only one that goes on.
func TestGRPCWebOneContentType(t *testing.T) {
	t.Parallel()
	for _, second := range []string{"", "x", "application/grpc-web-text", "text/plain; charset=a-long-one-for-good-measure"} {
		ex := webCall("application/grpc-web+proto", "")
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: "content-type", Value: second}, router.Header{Name: "x-last", Value: "1"})
		w, err := TranslateGRPCWeb(ex, &webClient{})
		if err != nil || w.textIn {
			t.Errorf("%q: text %v, %v", second, w.textIn, err)
		}
		w.End()
		want := []router.Header{{Name: "content-type", Value: "application/grpc+proto"}, {Name: "accept"}, {Name: "x-last", Value: "1"}}
		if !slices.Equal(ex.Request.Headers, want) {
			t.Errorf("%q: the upstream gets %v", second, ex.Request.Headers)
		}
	}
}

// Text may be padded anywhere, and cut anywhere; a body can be read again.
func TestGRPCWebTextRequest(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"": "", "YQ==": "a", "YWI=": "ab", "YWJj": "abc", "YQ==YWI=YWJj": "aababc",
		"YQ": "!", "YQ=": "!", "Y": "!", "=": "!", "YQ=a": "!", "Y===": "!", "YQ==\n": "!", "YW-j": "!",
	} {
		for per := 1; per < 6; per++ {
			client := &webClient{body: body, per: per}
			w, err := TranslateGRPCWeb(webCall("application/grpc-web-text", ""), client)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := readAll(w)
				if err != nil {
					got = "!"
				}
				if got != want || err != nil && err != ErrGRPCWebText {
					t.Errorf("%q by %d: %q, %v", body, per, got, err)
				}
				w.Rewind()
			}
			w.End()
		}
	}
}

func readAll(w *GRPCWeb) (string, error) {
	var all []byte
	buf := make([]byte, 64)
	for {
		n, err := w.ReadBody(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return string(all), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// A response comes in pieces of any size, each readable at once, and its status last.
func TestGRPCWebResponse(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 5000)
	const status = "\x80\x00\x00\x00\x16grpc-status:0\r\nx-y:z\r\n"
	for _, text := range []bool{false, true} {
		for _, pieces := range [][]string{{""}, {"a"}, {"a", "bc", "def"}, {large, "x", large}} {
			contentType := "application/grpc-web"
			if text {
				contentType = "application/grpc-web-text"
			}
			client := &webClient{}
			ex := webCall(contentType, "")
			w, _ := TranslateGRPCWeb(ex, client)
			w.Respond(ex, &proxy.Response{Status: 200, Headers: []router.Header{{Name: "content-type", Value: "application/grpc"}}}, []byte(pieces[0]), false)
			for _, p := range pieces[1:] {
				w.WriteBody([]byte(p), nil, false)
			}
			if err := w.WriteBody(nil, []router.Header{{Name: "grpc-status", Value: "0"}, {Name: "x-y", Value: "z"}}, true); err != nil {
				t.Error(err)
			}
			got, want := client.out.String(), strings.Join(pieces, "")+status
			if text {
				d := base64Decoder{}
				n, ok := d.decode(client.out.Bytes())
				if got = client.out.String()[:n]; !ok || !d.whole() {
					t.Error("not base64")
				}
			}
			if got != want || !client.ended {
				t.Errorf("text %v: %d bytes, want %d, ended %v", text, len(got), len(want), client.ended)
			}
			w.End()
		}
	}
}

// FuzzBase64: what the decoder takes, it decodes as the standard library does, wherever it is
// cut.
func FuzzBase64(f *testing.F) {
	f.Add([]byte("YQ==YWI=YWJj"), 3)
	f.Add([]byte("AAAA=AAA"), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var want []byte
		valid := len(in)%4 == 0
		for i := 0; valid && i < len(in); i += 4 {
			group, err := base64.StdEncoding.DecodeString(string(in[i : i+4]))
			valid = err == nil && !bytes.ContainsAny(in[i:i+4], "\r\n")
			want = append(want, group...)
		}
		cut = min(max(cut, 0), len(in))
		d, first, second := base64Decoder{}, bytes.Clone(in[:cut]), bytes.Clone(in[cut:])
		n, ok := d.decode(first)
		m, ok2 := d.decode(second)
		ok = ok && ok2 && d.whole()
		if got := append(first[:n], second[:m]...); ok != valid || ok && !bytes.Equal(got, want) {
			t.Errorf("%q: %q %v, want %q %v", in, got, ok, want, valid)
		}
	})
}

// A call that is translated allocates nothing.
func TestGRPCWebAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	client := &webClient{}
	ex := webCall("application/grpc-web-text", "")
	body, trailers := []byte("some message"), []router.Header{{Name: "grpc-status", Value: "0"}}
	r := proxy.Response{Headers: make([]router.Header, 1)}
	n := testing.AllocsPerRun(200, func() {
		client.out.Reset()
		client.ended = false
		ex.Request.Headers[0].Value, r.Headers[0] = "application/grpc-web-text", router.Header{Name: "content-type", Value: "application/grpc"}
		w, _ := TranslateGRPCWeb(ex, client)
		w.Respond(ex, &r, body, false)
		w.WriteBody(nil, trailers, true)
		w.End()
	})
	if n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzGRPCWeb: whatever headers and body a call has, it is translated or turned down, and what
// goes on has one content type, which is one of gRPC.
func FuzzGRPCWeb(f *testing.F) {
	f.Add("application/grpc-web", "x", "", "AAAAAAA=", 3, true)
	f.Add("application/grpc-web-text+proto;a=b", "application/grpc-web-text", "application/grpc-web", "AAAA=", 1, false)
	f.Add("application/grpc-web-text", "", "application/grpc-web-text;", "AA==AAA=", 4, true)
	f.Fuzz(func(t *testing.T, first, second, accept, body string, per int, buffered bool) {
		if !IsGRPCWeb(first) {
			return
		}
		ex := webCall(first, accept)
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: "content-type", Value: second})
		client := &webClient{body: body, per: max(per, 1)}
		if buffered {
			ex.Buffered, ex.Payload = true, []byte(body)
			ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}
		}
		w, err := TranslateGRPCWeb(ex, client)
		defer w.End()
		if err != nil {
			if !buffered || !w.textIn {
				t.Errorf("%q is turned down: %v", body, err)
			}
			return
		}
		types := 0
		for _, h := range ex.Request.Headers {
			if h.Name == "content-type" {
				types++
				if !proxy.IsGRPC(h.Value) {
					t.Errorf("the upstream gets the content type %q", h.Value)
				}
			}
		}
		if types != 1 {
			t.Errorf("the upstream gets %d content types", types)
		}
		if buffered {
			return
		}
		read := 0
		for buf := make([]byte, 16); err == nil; {
			var n int
			n, err = w.ReadBody(buf)
			read += n
		}
		if read > len(body) || err != io.EOF && !(w.textIn && errors.Is(err, ErrGRPCWebText)) {
			t.Errorf("%d bytes of %d, %v", read, len(body), err)
		}
	})
}
