package protocols

import (
	"bytes"
	"encoding/base64"
	wire "encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/test/freeport"
)

// webCaller calls by gRPC-Web, as a browser does.
type webCaller struct {
	client http.Client
	url    string
	host   string
	text   bool
}

// call sends one message and returns the response, whose frames next reads.
func (c *webCaller) call(t testing.TB, method string, in proto.Message) *webAnswer {
	t.Helper()
	message, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	body := append(wire.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	contentType := "application/grpc-web+proto"
	if c.text {
		contentType = "application/grpc-web-text"
		body = base64.StdEncoding.AppendEncode(nil, body)
	}
	r, err := http.NewRequestWithContext(within(t), "POST", c.url+"/grpc.testing.TestService/"+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = c.host
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Grpc-Web", "1")
	resp, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	want := strings.TrimSuffix(contentType, "+proto") + "+proto"
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != want {
		t.Fatalf("%s: %s, %s", method, resp.Status, got)
	}
	a := &webAnswer{t: t, body: resp.Body}
	if c.text {
		a.body = &groups{r: resp.Body}
	}
	return a
}

// groups decodes base64 group by group, since each may be padded.
type groups struct {
	r    io.Reader
	left []byte
}

func (g *groups) Read(p []byte) (int, error) {
	if len(g.left) == 0 {
		var group [4]byte
		if _, err := io.ReadFull(g.r, group[:]); err != nil {
			return 0, err
		}
		var err error
		if g.left, err = base64.StdEncoding.AppendDecode(nil, group[:]); err != nil {
			return 0, err
		}
	}
	n := copy(p, g.left)
	g.left = g.left[n:]
	return n, nil
}

type webAnswer struct {
	t    testing.TB
	body io.Reader
}

// next reads a frame: a message, or the trailers.
func (a *webAnswer) next() (kind byte, content []byte) {
	a.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(a.body, head[:]); err != nil {
		a.t.Fatal(err)
	}
	content = make([]byte, wire.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(a.body, content); err != nil {
		a.t.Fatal(err)
	}
	return head[0], content
}

// message reads a message of n bytes of payload.
func (a *webAnswer) message(out interface {
	proto.Message
	GetPayload() *testpb.Payload
}, n int) {
	a.t.Helper()
	kind, content := a.next()
	if err := proto.Unmarshal(content, out); kind != 0 || err != nil || len(out.GetPayload().GetBody()) != n {
		a.t.Errorf("frame %x, %v, %d bytes, want %d", kind, err, len(out.GetPayload().GetBody()), n)
	}
}

// end reads the trailers, behind which nothing comes.
func (a *webAnswer) end(want string) {
	a.t.Helper()
	kind, content := a.next()
	if kind != 0x80 || !strings.Contains(string(content), want) {
		a.t.Errorf("frame %x, %q, want trailers with %q", kind, content, want)
	}
	if rest, err := io.ReadAll(a.body); err != nil || len(rest) > 0 {
		a.t.Errorf("behind the trailers: %q, %v", rest, err)
	}
}

// TestGRPCWeb: a client that speaks gRPC-Web calls a server of gRPC, over either version of
// HTTP, in binary and as text.
func TestGRPCWeb(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	turn := make(chan bool, 1)
	server := interopServer(t)
	steps := serveGRPC(t, &scripted{turn: turn})
	g := startGRPC(t, ca, grpcHost{name: "web.test", endpoints: []string{server}}, grpcHost{name: "steps.test", endpoints: []string{steps}},
		grpcHost{name: "nowhere.test", endpoints: []string{fmt.Sprintf("127.0.0.1:%d", freeport.Take())}})
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		for _, text := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/text=%v", version, text), func(t *testing.T) {
				protocols := new(http.Protocols)
				protocols.SetHTTP1(version == "HTTP/1.1")
				protocols.SetUnencryptedHTTP2(version == "HTTP/2")
				transport := &http.Transport{Protocols: protocols}
				defer transport.CloseIdleConnections()
				c := &webCaller{client: http.Client{Transport: transport}, url: "http://" + g.at(80), host: "web.test", text: text}

				a := c.call(t, "UnaryCall", &testpb.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)})
				a.message(&testpb.SimpleResponse{}, 314159)
				a.end("grpc-status:0\r\n")

				a = c.call(t, "UnaryCall", &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: 7, Message: "no, thanks"}})
				a.end("grpc-status:7\r\n")
				a = c.call(t, "NoSuchCall", &testpb.Empty{})
				a.end("grpc-status:12\r\n")

				c.host = "nowhere.test"
				a = c.call(t, "EmptyCall", &testpb.Empty{})
				a.end("grpc-status:14\r\n")

				// Each message comes before the next is sent.
				c.host = "steps.test"
				turn <- true
				a = c.call(t, "StreamingOutputCall", &testpb.StreamingOutputCallRequest{})
				for n := range 3 {
					a.message(&testpb.StreamingOutputCallResponse{}, 1000+n)
					turn <- n < 2
				}
				a.end("grpc-status:0\r\n")
			})
		}
	}
}
