package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// demoRun is a demonstration that a test runs.
type demoRun struct {
	t *testing.T
	// base is the page's server, "http://localhost:31380".
	base  string
	admin string
	dir   string
	out   *syncBuffer
	// end ends it and returns what it ended with.
	end func() error
}

// startTestDemo runs sluice demo with these flags until the test ends.
func startTestDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out := &syncBuffer{}
	cmd := newDemoCommand()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(out)
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	end := sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return fmt.Errorf("the demonstration does not end:\n%s", out)
		}
	})
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the introduction", func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("ended with %v\n%s", err, out)
		default:
		}
		if !strings.Contains(out.String(), "Ctrl-C ends.") {
			return fmt.Errorf("output so far:\n%s", out)
		}
		return nil
	})
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(out.String())
		if m == nil {
			t.Fatalf("no %s in\n%s", pattern, out)
		}
		return m[1]
	}
	return &demoRun{
		t: t, out: out, end: end,
		base:  find(`(?m)^  page +(http://localhost:\d+)/productpage$`),
		admin: find(`(?m)^  admin +http://(127\.0\.0\.1:\d+)/$`),
		dir:   find(`(?m)^  files +(\S+)`),
	}
}

// anyPorts are the flags of a demonstration beside others.
func anyPorts(dir string) []string {
	return []string{"--port", "0", "--admin", "127.0.0.1:0", "--dir", dir}
}

// eventually tries until there is no error, for half a minute.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// page returns a page and the version of reviews in it.
func (d *demoRun) page(c *http.Client) (version, body string) {
	d.t.Helper()
	res, err := c.Get(d.base + "/productpage")
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		d.t.Fatalf("%s, %v:\n%s", res.Status, err, b)
	}
	return reviewsVersion.FindString(string(b)), string(b)
}

var reviewsVersion = regexp.MustCompile(`reviews-v\d`)

// asksReviews returns the version of reviews that answers through page and gateway.
func (d *demoRun) asksReviews(c *http.Client, user string) (string, error) {
	req, err := http.NewRequest("GET", d.base+"/api/v1/products/0/reviews", nil)
	if err != nil {
		return "", err
	}
	if user != "" {
		req.Header.Set("Cookie", "session="+user)
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", res.Status, body)
	}
	var answer struct{ Podname string }
	err = json.Unmarshal(body, &answer)
	return answer.Podname, err
}

// apply copies a sample to where routes are watched.
func (d *demoRun) apply(sample string) {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "samples", sample))
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("routes.yaml", string(text))
}

func (d *demoRun) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "config", name), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: 20 * time.Second}
}

func TestDemoServesBookinfo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startTestDemo(t, anyPorts(dir)...)
	c := client(t)

	seen := map[string]int{}
	for range 90 {
		version, body := d.page(c)
		seen[version]++
		if !strings.Contains(body, "PublisherA") || !strings.Contains(body, "Reviewer2") || strings.Contains(body, "Error fetching") {
			t.Fatalf("the page lacks details or reviews:\n%s", body)
		}
		stars := map[string]string{"reviews-v2": "stars black", "reviews-v3": "stars red"}[version]
		if strings.Count(body, `class="stars`) > 0 != (stars != "") || !strings.Contains(body, stars) {
			t.Errorf("stars of %s:\n%s", version, body)
		}
	}
	for _, version := range []string{"reviews-v1", "reviews-v2", "reviews-v3"} {
		if seen[version] < 4 {
			t.Errorf("versions of reviews in 90 pages: %v", seen)
		}
	}

	// Only what the VirtualService lets through is reachable.
	for path, want := range map[string]int{"/static/bookinfo.css": 200, "/api/v1/products": 200, "/health": 404, "/": 404} {
		res, err := c.Get(d.base + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}

	d.apply("virtual-service-reviews-test-v2.yaml")
	eventually(t, "signed out means v1", func() error {
		for range 20 {
			if v, _ := d.page(c); v != "reviews-v1" {
				return fmt.Errorf("page shows %s", v)
			}
		}
		return nil
	})
	res, err := c.PostForm(d.base+"/login", url.Values{"username": {"jason"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for range 10 {
		if v, body := d.page(c); v != "reviews-v2" || !strings.Contains(body, "<strong>jason</strong>") {
			t.Errorf("jason sees %s:\n%s", v, body)
		}
	}

	// What the introduction says to type works.
	status, out, stderr := invoke("explain", "--admin", d.admin, d.base+"/productpage")
	if status != exitOK || !strings.Contains(out, "productpage") || !strings.Contains(out, "VirtualService default/bookinfo") {
		t.Errorf("explain exits %d:\n%s%s", status, out, stderr)
	}
	status, out, stderr = invoke("explain", "--config", filepath.Join(dir, "config"), "--workload-labels", "app=productpage,version=v1",
		"http://reviews:9080/reviews/0", "-H", "end-user: jason")
	if status != exitOK || !strings.Contains(out, "|v2|reviews.default.svc.cluster.local") {
		t.Errorf("explain exits %d:\n%s%s", status, out, stderr)
	}
	if status, out, stderr = invoke("validate", filepath.Join(dir, "config")); status != exitOK || strings.Contains(out, "arning") && !strings.Contains(out, "0 warnings") {
		t.Errorf("validate exits %d:\n%s%s", status, out, stderr)
	}

	if err := d.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if !strings.HasSuffix(d.out.String(), "The demonstration has ended.\n") {
		t.Errorf("last words:\n%s", d.out)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://")); err == nil {
		conn.Close()
		t.Error("the page still answers")
	}
	if log, err := os.ReadFile(filepath.Join(dir, "logs", "gateway.log")); err != nil || !bytes.Contains(log, []byte(`"GET /productpage HTTP/1.1" 200`)) {
		t.Errorf("access log: %v\n%s", err, log)
	}
}

// TestDemoDocument holds the explanations in docs/demo.md to what they are now.
func TestDemoDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/demo.md")
	if err != nil {
		t.Fatal(err)
	}
	d := startTestDemo(t, anyPorts(t.TempDir())...)
	d.apply("virtual-service-reviews-test-v2.yaml")
	ports := regexp.MustCompile(`(localhost|127\.0\.0\.1|port)([: ])\d+`)
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n.*?```").FindAllString(string(text), -1) {
		for _, command := range parseConsole(strings.Replace(block, "sh", "console", 1)) {
			args := shellWords(strings.ReplaceAll(strings.ReplaceAll(command.line, "$D", d.dir), "http://localhost:31380", d.base))
			if len(args) < 2 || args[0] != "sluice" || args[1] != "explain" {
				continue
			}
			if !strings.Contains(command.line, "--config") {
				args = append(args, "--admin", d.admin)
			}
			ran++
			want := ports.ReplaceAllString(command.output, "$1$2 PORT")
			eventually(t, command.line, func() error {
				_, out, stderr := invoke(args[1:]...)
				if got := ports.ReplaceAllString(strings.ReplaceAll(out, d.dir, "demo"), "$1$2 PORT"); got != want {
					return fmt.Errorf("prints\n%s%s\nbut the document shows\n%s", got, stderr, want)
				}
				return nil
			})
		}
	}
	if ran != 2 {
		t.Errorf("%d explanations found, want 2", ran)
	}
}

func TestDemoWeights(t *testing.T) {
	t.Parallel()
	d := startTestDemo(t, anyPorts(t.TempDir())...)
	c := client(t)
	d.apply("virtual-service-reviews-90-10.yaml")
	eventually(t, "v3 is out", func() error {
		for range 30 {
			if v, err := d.asksReviews(c, ""); err != nil || v == "reviews-v3" {
				return fmt.Errorf("%s, %v", v, err)
			}
		}
		return nil
	})
	// Three points are three standard deviations: chance alone exceeds them once in
	// 600 rounds, but not five times running.
	var seen map[string]int
	for range 5 {
		seen = map[string]int{}
		for range 1000 {
			v, err := d.asksReviews(c, "")
			if err != nil {
				t.Fatal(err)
			}
			seen[v]++
		}
		if n := seen["reviews-v1"]; n >= 870 && n <= 930 && n+seen["reviews-v2"] == 1000 {
			t.Logf("of 1000 calls: %v", seen)
			return
		}
	}
	t.Errorf("of 1000 calls: %v, want 900 and 100 within 30", seen)
}

// TestDemoChangesUnderLoad edits, breaks and mends routes while requests run: none
// fails, each change takes effect, and what is wrong is told.
func TestDemoChangesUnderLoad(t *testing.T) {
	t.Parallel()
	d := startTestDemo(t, anyPorts(t.TempDir())...)
	c := client(t)

	var calls, failed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	rest := sync.OnceFunc(func() { close(stop); load.Wait() })
	t.Cleanup(rest)
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				calls.Add(1)
				if v, err := d.asksReviews(c, "jason"); err != nil || v == "" {
					if failed.Add(1) <= 5 {
						t.Errorf("a call failed: %q, %v", v, err)
					}
				}
			}
		})
	}
	// become waits until twenty answers running are from one version.
	become := func(version string) {
		t.Helper()
		began := time.Now()
		eventually(t, version, func() error {
			for range 20 {
				if v, err := d.asksReviews(c, "jason"); err != nil || v != version {
					return fmt.Errorf("%s, %v", v, err)
				}
			}
			return nil
		})
		t.Logf("%s after %v at most", version, time.Since(began).Round(time.Millisecond))
	}
	reported := func(what string) {
		t.Helper()
		eventually(t, "report", func() error {
			if !strings.Contains(d.out.String(), what) {
				return fmt.Errorf("no %q in\n%s", what, d.out)
			}
			return nil
		})
	}

	d.apply("virtual-service-reviews-v3.yaml")
	become("reviews-v3")
	// The gateway's first configuration may be told of in the same line.
	reported("productpage-v1, reviews-v2, reviews-v3\n")
	d.apply("virtual-service-all-v1.yaml")
	become("reviews-v1")
	d.apply("virtual-service-reviews-test-v2.yaml")
	become("reviews-v2")

	// A file that does not parse keeps what it gave.
	d.write("routes.yaml", "kind: VirtualService\n  broken\n")
	reported("error: config/routes.yaml:")
	become("reviews-v2")
	d.apply("virtual-service-reviews-v3.yaml")
	become("reviews-v3")
	reported("cleared: ")

	// An object that makes no sense harms only itself.
	d.write("nonsense.yaml", strings.Join([]string{
		"apiVersion: networking.istio.io/v1", "kind: VirtualService", "metadata: {name: nonsense}",
		"spec:", "  hosts: [details]", "  http: [{match: [{uri: {regex: '('}}], route: [{destination: {host: details}}]}]", "",
	}, "\n"))
	reported("VirtualService default/nonsense")
	become("reviews-v3")
	if _, body := d.page(c); !strings.Contains(body, "PublisherA") {
		t.Errorf("the page has no details:\n%s", body)
	}

	eventually(t, "enough calls", func() error {
		if n := calls.Load(); n < 500 {
			return fmt.Errorf("only %d calls ran", n)
		}
		return nil
	})
	rest()
	t.Logf("%d calls, %d failed", calls.Load(), failed.Load())
}

func TestDemoGivesWay(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	d := startTestDemo(t, "--port", port, "--admin", taken.Addr().String())
	for _, want := range []string{"Port " + port + " is taken", taken.Addr().String() + " is taken", "gone when this ends"} {
		if !strings.Contains(d.out.String(), want) {
			t.Errorf("no %q in\n%s", want, d.out)
		}
	}
	if v, _ := d.page(client(t)); v == "" {
		t.Error("no reviews")
	}
	// The Service in the folder says the port that it is.
	if status, out, stderr := invoke("explain", "--config", filepath.Join(d.dir, "config"), d.base+"/productpage"); status != exitOK || !strings.Contains(out, "VirtualService default/bookinfo") {
		t.Errorf("explain exits %d:\n%s%s", status, out, stderr)
	}
	if err := d.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

func TestDemoKeepsWhatWasEdited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startTestDemo(t, anyPorts(dir)...)
	first.apply("virtual-service-reviews-v3.yaml")
	edited := filepath.Join(dir, "config", "bookinfo-gateway.yaml")
	text, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(edited, bytes.Replace(text, []byte("exact: /logout"), []byte("exact: /health"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}

	second := startTestDemo(t, anyPorts(dir)...)
	c := client(t)
	for range 10 {
		if v, _ := second.page(c); v != "reviews-v3" {
			t.Errorf("the page shows %s", v)
		}
	}
	res, err := c.Get(second.base + "/health")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("the edited gateway answers %s", res.Status)
	}
}

func TestDemoNeedsItsGateway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config", "bookinfo-gateway.yaml"), []byte("# nothing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := newDemoCommand()
	cmd.SetArgs(anyPorts(dir))
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceUsage = true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "no Gateway") {
		t.Errorf("ended with %v", err)
	}
}

func TestDemoMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"demo", "--port", "70000"}, {"demo", "--port", "-1"}, {"demo", "extra"}} {
		if status, _, stderr := invoke(args...); status != exitMisuse {
			t.Errorf("%v exits %d: %s", args, status, stderr)
		}
	}
}

// syncBuffer is what a command writes to while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
