package peer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/loadtest/backend"
)

// patience is how long a proxy may take to serve a configuration.
const patience = 5 * time.Minute

// seen is a request as a backend got it.
type seen struct {
	backend string
	*http.Request
}

// client makes a connection for each request, all of them to the proxy.
func (in *instance) client() *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", in.Address)
			},
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			ForceAttemptHTTP2: in.HTTP2,
			DisableKeepAlives: true, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// echo asks for a path of a host and returns what the backend got.
func (in *instance) echo(ctx context.Context, host, path string) (*seen, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", in.Scheme()+"://"+host+path+"?"+backend.Echo, nil)
	if err != nil {
		return nil, err
	}
	resp, err := in.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s is answered %s: %.200s", host, path, resp.Status, body)
	}
	if in.HTTP2 && resp.ProtoMajor != 2 {
		return nil, fmt.Errorf("%s%s is answered in %s, not HTTP/2", host, path, resp.Proto)
	}
	name, head, _ := bytes.Cut(body, []byte("\r\n"))
	got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, fmt.Errorf("%s%s: the backend got no request that can be read: %w: %.300q", host, path, err, body)
	}
	return &seen{string(name), got}, nil
}

// await waits until the route that was written last is served.
func (in *instance) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var wrong error
	for {
		err := in.latest(ctx)
		if err == nil {
			return nil
		}
		if wrong == nil || ctx.Err() == nil { // what is wrong, not that time is up
			wrong = err
		}
		for _, p := range in.processes {
			if p.ended() {
				return errors.New("it has ended")
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the right answer did not come: %w", wrong)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// latest tells whether the last route is served as it should be.
func (in *instance) latest(ctx context.Context) error {
	if in.TCP() {
		return in.echoBytes()
	}
	h, r := in.last()
	return in.leads(ctx, h.Name, r.Prefix, r.To)
}

// leads tells whether a path of a host leads to the right one of the backend, and whether that
// is told what it should be.
func (in *instance) leads(ctx context.Context, host, path, to string) error {
	got, err := in.echo(ctx, host, path)
	if err != nil {
		return err
	}
	wrong := func(what, is, want string) error {
		return fmt.Errorf("%s%s: %s at the backend is %q, not %s", host, path, what, is, want)
	}
	if in.proxy.blind {
		return nil
	}
	from, proto, id := got.Header.Get("X-Forwarded-For"), got.Header.Get("X-Forwarded-Proto"), got.Header.Get("X-Request-Id")
	attempt, original := got.Header.Get("X-Envoy-Attempt-Count"), got.Header.Get("X-Envoy-Original-Path")
	tells := func(header string) bool { return !slices.Contains(in.proxy.untold, header) }
	switch {
	case got.URL.Path != to:
		return wrong("the path", got.URL.Path, to)
	case got.Host != host:
		return wrong("Host", got.Host, host)
	case id == "" && tells("X-Request-Id"):
		return wrong("x-request-id", id, "an id")
	case attempt != "1":
		return wrong("x-envoy-attempt-count", attempt, "1")
	case to != path && original != path+"?"+backend.Echo && tells("X-Envoy-Original-Path"):
		return wrong("x-envoy-original-path", original, path+"?"+backend.Echo)
	case in.Sidecars: // a sidecar leaves what its workload says of the client
		return nil
	case from != "127.0.0.1":
		return wrong("x-forwarded-for", from, "127.0.0.1")
	case proto != in.Scheme():
		return wrong("x-forwarded-proto", proto, in.Scheme())
	}
	return nil
}

// check holds the proxy to all that its configuration says.
func (in *instance) check(ctx context.Context) error {
	if in.TCP() {
		return nil
	}
	first := in.Sites[0]
	if err := in.leads(ctx, first.Name, first.Routes[0].Prefix, first.Routes[0].To); err != nil {
		return err
	}
	if n := len(in.PrefixRoutes); n > 0 {
		if err := in.leads(ctx, first.Name, in.PrefixRoutes[n-1].Prefix, "/"); err != nil {
			return err
		}
	}
	if n := len(in.RegexRoutes); n > 0 {
		path := fmt.Sprintf("/x%d/7", n-1)
		if err := in.leads(ctx, first.Name, path, path); err != nil {
			return err
		}
	}
	if in.proxy.blind {
		return nil
	}
	if _, err := in.echo(ctx, "other.example.net", "/r0/"); err == nil {
		return errors.New("a host that is not configured is served")
	}
	for _, check := range []func(context.Context) error{in.balances, in.answers, in.upgrades, in.logs} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// balances tells whether every backend gets requests.
func (in *instance) balances(ctx context.Context) error {
	met := map[string]bool{}
	for range 100 * len(in.Servers) {
		got, err := in.echo(ctx, in.Sites[0].Name, "/r0/")
		if err != nil {
			return err
		}
		if met[got.backend] = true; len(met) == len(in.Servers) {
			return nil
		}
	}
	return fmt.Errorf("of %d backends only %d get requests", len(in.Servers), len(met))
}

// answers tells whether the answer of the backend arrives whole.
func (in *instance) answers(ctx context.Context) error {
	method, want, body := "GET", in.Body, io.Reader(nil)
	if in.GRPC() {
		method, want, body = "POST", 5+in.Body, strings.NewReader("\x00\x00\x00\x00\x00")
	}
	req, err := http.NewRequestWithContext(ctx, method, in.Scheme()+"://"+in.Sites[0].Name+"/r0/", body)
	if err != nil {
		return err
	}
	if in.GRPC() {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
	}
	resp, err := in.client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || n != int64(want):
		return fmt.Errorf("an answer is %s with %d bytes, not 200 with %d", resp.Status, n, want)
	case in.GRPC() && resp.Trailer.Get("Grpc-Status") != "0":
		return fmt.Errorf("a call ends with grpc-status %q, not 0", resp.Trailer.Get("Grpc-Status"))
	}
	return nil
}

// logs tells whether requests are logged.
func (in *instance) logs(ctx context.Context) error {
	if !in.AccessLog {
		return nil
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if s, err := os.Stat(in.Log); err == nil && s.Size() > 0 {
			return nil
		}
	}
	return errors.New("nothing is written to the access log " + in.Log)
}
