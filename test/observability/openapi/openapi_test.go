package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
)

const configuration = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*']
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
  - name: hello
    match: [{uri: {exact: /hello}}]
    directResponse: {status: 200, body: {string: hello}}
  - name: gone
    match: [{uri: {prefix: /gone}}]
    route: [{destination: {host: gone.example.com}}]
  - name: refused
    match: [{uri: {prefix: /refused}}]
    timeout: 60s
    retries: {attempts: 1}
    route: [{destination: {host: nobody.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nobody, namespace: default}
spec:
  hosts: [nobody.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: 1}}]
`

// startGateway runs a gateway, and returns the addresses of its listener and admin server.
func startGateway(t *testing.T) (listener, admin string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(configuration), 0o644); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"istio": "ingressgateway"}
	ready := make(chan role.Status, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	level := &slog.LevelVar{}
	level.Set(slog.LevelError)
	go func() {
		ended <- gateway.Run(ctx, gateway.Options{
			Source: func(ctx context.Context, publish func(config.Delta)) error {
				return file.Watch(ctx, file.Options{Dirs: []string{dir}}, publish)
			},
			NewCompiler: func() pipeline.Compile {
				c := istio.NewCompiler(istio.Options{Role: istio.Gateway, Labels: labels, Namespace: "istio-system"})
				return func(d config.Delta) (*router.Spec, []config.Condition) {
					r := c.Apply(d)
					return r.Spec, r.Conditions
				}
			},
			Labels: labels, Namespace: "istio-system", Config: []string{dir}, Address: netip.MustParseAddr("127.0.0.1"), PortMap: map[uint16]uint16{80: 0},
			Admin: "127.0.0.1:0", Drain: -1, LogLevel: level, Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})),
			Notify: func(s role.Status) {
				if s.NotReady == nil {
					select {
					case ready <- s:
					default:
					}
				}
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	select {
	case s := <-ready:
		return s.Listeners[0].Address, s.Admin
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the gateway is not ready")
	}
	return "", ""
}

// judge validates answers by the document.
type judge struct {
	router routers.Router
	admin  string
}

func newJudge(t *testing.T, admin string) *judge {
	t.Helper()
	text := fetch(t, "http://"+admin+"/openapi.yaml")
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: "http://" + admin}}
	r, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &judge{router: r, admin: admin}
}

func fetch(t *testing.T, address string) []byte {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ask sends a request, validates it and its answer, and returns that.
func (j *judge) ask(t *testing.T, method, target, body string, want int) []byte {
	t.Helper()
	newRequest := func() *http.Request {
		r, err := http.NewRequest(method, "http://"+j.admin+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		return r
	}
	route, params, err := j.router.FindRoute(newRequest())
	if err != nil {
		t.Fatalf("%s %s is not described: %v", method, target, err)
	}
	resp, err := http.DefaultClient.Do(newRequest())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want {
		t.Errorf("%s %s: status %d, want %d: %s", method, target, resp.StatusCode, want, text)
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	request := &openapi3filter.RequestValidationInput{Request: newRequest(), PathParams: params, Route: route, Options: options}
	if want < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			t.Errorf("%s %s: the request: %v", method, target, err)
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: resp.StatusCode, Header: resp.Header, Options: options, Body: io.NopCloser(bytes.NewReader(text)),
	})
	if err != nil {
		t.Errorf("%s %s: the answer: %v\n%s", method, target, err, text)
	}
	return text
}

// TestAnswersAreAsDescribed asks a live gateway for every page that it describes.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		var first any
		return first, json.NewDecoder(body).Decode(&first)
	})
	for _, kind := range []string{"text/html", "application/problem+json", "application/octet-stream"} {
		if kind == "application/problem+json" {
			openapi3filter.RegisterBodyDecoder(kind, func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
				var v any
				return v, json.NewDecoder(body).Decode(&v)
			})
			continue
		}
		openapi3filter.RegisterBodyDecoder(kind, func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
			text, err := io.ReadAll(body)
			return string(text), err
		})
	}
	listener, admin := startGateway(t)
	j := newJudge(t, admin)
	for _, path := range []string{"/hello", "/nothing", "/gone", "/refused", "/a%2fb"} {
		visit(t, listener, path)
	}
	waitForFailures(t, j, 4)
	for _, target := range []string{
		"/", "/config_dump", "/config_dump?format=envoy", "/config_dump?include_eds", "/listeners", "/listeners?format=json", "/routes", "/routes?format=json",
		"/clusters", "/clusters?format=json", "/clusters?format=sluice", "/certs", "/certs?format=json", "/conditions", "/conditions?format=json",
		"/explain?url=http://shop.example.com/hello", "/explain?url=http://shop.example.com/nothing", "/explain?url=http://shop.example.com/refused",
		"/failures", "/failures?last=503", "/why", "/why?last=NR", "/why?last=NC", "/why?last=UF", "/why?last=DPE", "/why/" + url.PathEscape("id-/refused"),
		"/stats", "/stats?filter=server&usedonly", "/stats?format=json", "/stats?format=prometheus", "/stats/routes", "/stats/prometheus", "/memory", "/ready", "/server_info",
		"/logging", "/logging?format=json", "/openapi.json", "/openapi.yaml", "/ui/", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol",
	} {
		j.ask(t, "GET", target, "", http.StatusOK)
	}
	for target, want := range map[string]int{
		"/explain": http.StatusBadRequest, "/why?last=x9": http.StatusBadRequest, "/why/nobody": http.StatusNotFound, "/tap?status=x": http.StatusBadRequest, "/stats?filter=(": http.StatusBadRequest,
	} {
		j.ask(t, "GET", target, "", want)
	}
	// A request for the tap to see, again and again until it has one.
	seen, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			visit(t, listener, "/nothing")
			select {
			case <-seen:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	j.ask(t, "GET", "/tap?count=1", "", http.StatusOK)
	close(seen)
	<-over
	j.ask(t, "POST", "/explain", `{"url": "http://shop.example.com/hello", "headers": ["a: b"]}`, http.StatusOK)
	j.ask(t, "POST", "/logging?level=warn", "", http.StatusOK)
	j.ask(t, "POST", "/healthcheck/fail", "", http.StatusOK)
	j.ask(t, "GET", "/ready", "", http.StatusServiceUnavailable)
	j.ask(t, "POST", "/healthcheck/ok", "", http.StatusOK)
	j.ask(t, "POST", "/drain_listeners?graceful", "", http.StatusAccepted)
	j.ask(t, "POST", "/quitquitquit", "", http.StatusAccepted)
}

// visit sends a request to the gateway.
func visit(t *testing.T, listener, path string) {
	r, err := http.NewRequest("GET", "http://"+listener+path, nil)
	if err != nil {
		t.Error(err)
		return
	}
	r.Host = "shop.example.com"
	r.Header.Set("cookie", "session=1")
	r.Header.Set("x-request-id", "id-"+path)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	resp.Body.Close()
}

// waitForFailures returns once as many failures are remembered and explained.
func waitForFailures(t *testing.T, j *judge, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var list struct {
			Requests []struct {
				Sequence int `json:"sequence"`
			} `json:"requests"`
		}
		if err := json.Unmarshal(fetch(t, "http://"+j.admin+"/failures"), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Requests) >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d failures are remembered, want %d", len(list.Requests), n)
		}
	}
}
