package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/proxy/http1"
	accept "github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// routingCase is a configuration with requests and what Istio's engine makes of them;
// package config/istio compares all of them, this one runs a few over sockets.
type routingCase struct {
	Name   string
	Config string
	Calls  []struct {
		Request struct {
			Host, Method, Path string
			Port               uint16
			Headers            map[string]string
		}
		Expect struct {
			Error, Location, Body, Path, Authority string
			Status                                 int
			Clusters                               map[string]int
		}
	}
}

// someCases returns every nth case of a file.
func someCases(t *testing.T, file string, every int) []routingCase {
	t.Helper()
	text, err := os.ReadFile("../config/istio/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var some []routingCase
	for i, chunk := range strings.Split(string(text), "\n- calls:") {
		if i%every != 1 {
			continue
		}
		var one []routingCase
		if err := yaml.Unmarshal([]byte("- calls:"+chunk), &one); err != nil {
			t.Fatal(err)
		}
		some = append(some, one...)
	}
	return some
}

var endpointAddress = regexp.MustCompile(`\{address: 10\.9\.(\d+\.\d+),`)

// compile makes a table of a case, whose endpoints are all the origin.
func (c routingCase) compile(t *testing.T, o istio.Options, origin string) *router.Table {
	t.Helper()
	var d config.Delta
	for _, document := range config.SplitDocuments([]byte(c.Config)) {
		ports := "http: " + origin
		if strings.Contains(string(document.Text), "http-alt") {
			ports += ", http-alt: " + origin
		}
		document.Text = endpointAddress.ReplaceAll(document.Text, []byte("{address: 127.9.$1, ports: {"+ports+"},"))
		objects, conditions := config.ParseObjects(document, "")
		if len(conditions) > 0 {
			t.Fatal(conditions)
		}
		d.Set = append(d.Set, objects...)
	}
	table, problems := router.Build(istio.NewCompiler(o).Apply(d).Spec, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return table
}

// serve serves the table's listeners on loopback ports, and returns their addresses by the
// port that callers name, 0 being any.
func serve(t *testing.T, table *router.Table, mesh bool) map[uint16]string {
	t.Helper()
	engine := forward.New(forward.Options{Mesh: mesh})
	t.Cleanup(engine.Close)
	engine.Publish(table)
	addresses := make(map[uint16]string)
	for _, listener := range table.Listeners() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o := http1.Options{Engine: engine, PortFromAuthority: mesh}.WithDefaults()
		s := accept.NewServer(accept.Options{Name: listener.Name, HTTP: func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
			return http1.NewSession(conn, early, info, o)
		}})
		go s.Serve(l)
		t.Cleanup(func() { s.Drain(t.Context()) })
		for _, routes := range listener.Tables {
			addresses[routes.Port] = l.Addr().String()
		}
	}
	return addresses
}

// TestCasesOverSockets: what is decided is what is done, for a gateway and for a sidecar.
func TestCasesOverSockets(t *testing.T) {
	t.Parallel()
	echo := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s\n%s", r.RequestURI, r.Host)
	}))
	echo.Listener.Close()
	var err error
	// The endpoints are all over the loopback range.
	if echo.Listener, err = net.Listen("tcp4", "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	echo.Start()
	t.Cleanup(echo.Close)
	_, origin, _ := net.SplitHostPort(echo.Listener.Addr().String())
	for _, role := range []struct {
		file  string
		every int
		istio.Options
	}{
		{"istio-routing.yaml", 12, istio.Options{Role: istio.Gateway, Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}}},
		{"istio-mesh-routing.yaml", 6, istio.Options{Role: istio.Sidecar, Namespace: "default", Labels: map[string]string{"app": "client", "version": "v1"}}},
	} {
		ran := 0
		for _, c := range someCases(t, role.file, role.every) {
			mesh := role.Role == istio.Sidecar
			addresses := serve(t, c.compile(t, role.Options, origin), mesh)
			for _, call := range c.Calls {
				if _, passes := call.Expect.Clusters["PassthroughCluster"]; passes || mesh && !strings.HasSuffix(call.Request.Host, fmt.Sprint(":", call.Request.Port)) {
					continue // it would go where the request says, or is of an intercepted connection
				}
				ran++
				address, ok := addresses[call.Request.Port]
				if !ok {
					address, ok = addresses[0]
				}
				if ok == (call.Expect.Error == "refused") {
					t.Errorf("%s: port %d is served: %v", c.Name, call.Request.Port, ok)
				}
				if !ok {
					continue
				}
				want, got := "", ""
				for range 50 { // a share of the traffic may be for what does not exist
					status, location, body := exchange(t, address, call.Request.Method, call.Request.Path, call.Request.Host, call.Request.Headers)
					got = fmt.Sprint(status, " ", location, " ", body)
					switch e := call.Expect; {
					case e.Error == "not-found":
						want, got = "404", fmt.Sprint(status)
					case e.Error == "https-redirect":
						want, got = "301 https://", fmt.Sprint(status, " ", location[:min(len(location), 8)])
					case e.Clusters != nil:
						want = fmt.Sprint(200, "  ", e.Path, "\n", e.Authority)
					case e.Body != "" || e.Location != "":
						want = fmt.Sprint(e.Status, " ", e.Location, " ", e.Body)
					default:
						want, got = fmt.Sprint(e.Status), fmt.Sprint(status)
					}
					if got == want || call.Expect.Clusters == nil {
						break
					}
				}
				if call.Request.Method == http.MethodHead {
					continue
				}
				if got != want {
					t.Errorf("%s: %+v\ngot  %q\nwant %q", c.Name, call.Request, got, want)
				}
			}
		}
		if t.Logf("%s: %d requests", role.file, ran); ran < 50 {
			t.Errorf("%s: only %d requests ran", role.file, ran)
		}
	}
}

// exchange makes one request, word for word.
func exchange(t *testing.T, address, method, path, host string, headers map[string]string) (status int, location, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n", method, path, host)
	for name, value := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	io.WriteString(conn, b.String()+"\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 == 3 {
		text = nil
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}
