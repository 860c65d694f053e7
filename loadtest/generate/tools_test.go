package generate

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

const wrkSays = `Running 1s test @ http://127.0.0.1:8080/r0/
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.12ms    2.25ms  25.16ms   89.51%
    Req/Sec    10.25k     1.22k   12.34k    70.00%
  10340 requests in 1.10s, 11.54MB read
Requests/sec:   9399.52
Transfer/sec:     10.49MB
`

func TestParseWrk(t *testing.T) {
	res, err := parseWrk(wrkSays, 1024)
	if err != nil || res.Requests != 10340 || res.Failed != 0 || res.Elapsed != 1100*time.Millisecond {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := parseWrk(wrkSays, 2048); err == nil {
		t.Error("bodies that are too short are no error")
	}
	lost := strings.Replace(wrkSays, "Requests/sec", "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 40\nRequests/sec", 1)
	if res, err := parseWrk(lost, -1); err != nil || res.Requests != 10300 || res.Failed != 50 || res.Problem == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := parseWrk("unable to connect to 127.0.0.1:8080 Connection refused\n", -1); err == nil {
		t.Error("no count is no error")
	}
}

const h2loadSays = `finished in 1.02s, 9393.00 req/s, 9.56MB/s
requests: 9393 total, 9393 started, 9393 done, 9390 succeeded, 3 failed, 3 errored, 0 timeout
status codes: 9390 2xx, 0 3xx, 0 4xx, 3 5xx
traffic: 9.56MB (10021234) total, 165.12KB (169084) headers (space savings 90.00%), 9.17MB (9618432) data
`

func TestParseH2load(t *testing.T) {
	res, err := parseH2load(h2loadSays, 1024)
	if err != nil || res.Requests != 9390 || res.Failed != 3 || res.Problem == "" || res.Elapsed != 1020*time.Millisecond {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := parseH2load(h2loadSays, 1025); err == nil {
		t.Error("bodies that are too short are no error")
	}
	if _, err := parseH2load("h2load: unrecognized option", -1); err == nil {
		t.Error("no count is no error")
	}
}

// TestTools runs the programs themselves, for as short as they can.
func TestTools(t *testing.T) {
	for _, c := range []struct {
		program  string
		protocol work.Protocol
		tls      bool
	}{{"wrk", work.HTTP1, false}, {"wrk", work.HTTPS, true}, {"h2load", work.HTTP2, true}} {
		t.Run(string(c.protocol), func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.program); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s is missing; test/install-tools.sh installs it", c.program)
				}
				t.Skipf("%s is missing; test/install-tools.sh installs it", c.program)
			}
			l := load(serve(t, c.tls, body(1000)), c.protocol, 1000)
			l.TLS, l.Streams, l.Duration = c.tls, 8, 4*time.Second
			if l.tool() == nil {
				t.Fatalf("%s is not used", c.program)
			}
			res, err := Saturate(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			if res.Failed > 0 || res.Requests < 100 || res.Elapsed < 900*time.Millisecond {
				t.Errorf("%+v", res)
			}
			l.Want = 1001
			if _, err := Saturate(t.Context(), l); err == nil || !strings.Contains(err.Error(), "the body has 1000 bytes, not 1001") {
				t.Errorf("bodies that are too short: %v", err)
			}
		})
	}
}

// TestSaturateWithoutTools offers by own means what no program can, or where there is none.
func TestSaturateWithoutTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, p := range []work.Protocol{work.HTTP1, work.HTTP2, work.TCP} {
		if l := load("", p, 0); l.tool() != nil {
			t.Errorf("%s by a program that is not there", p)
		}
	}
	l := load(serve(t, false, body(10)), work.HTTP1, 10)
	l.Duration = 4 * time.Second // time for a hundred, however slow the machine
	res, err := Saturate(t.Context(), l)
	if err != nil || res.Failed > 0 || res.Requests < 100 {
		t.Errorf("%d requests, %d failed, %v", res.Requests, res.Failed, err)
	}
}
