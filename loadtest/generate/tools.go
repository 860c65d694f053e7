package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// tool returns what offers the load by a program that is known for it; nil where there is none,
// or it cannot offer this load.
func (l Load) tool() func(context.Context) (Result, error) {
	if l.Upload > 0 || l.Hosts > 1 || l.RoutesPerHost > 1 {
		return nil
	}
	program, args, parse := "", []string(nil), parseWrk
	switch l.Protocol {
	case work.HTTP1, work.HTTPS:
		program, args = "wrk", l.wrk()
	case work.HTTP2:
		program, args, parse = "h2load", l.h2load(), parseH2load
	default:
		return nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return nil
	}
	return func(ctx context.Context) (Result, error) {
		if err := l.probe(ctx); err != nil {
			return Result{}, err
		}
		ctx, cancel := context.WithTimeout(ctx, l.Duration+time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
		if ctx.Err() != nil { // Ctrl-C reaches the program too, which prints what it has
			return Result{}, ctx.Err()
		}
		if err != nil {
			return Result{}, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
		}
		res, err := parse(string(out), l.Want)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w:\n%s", program, err, out)
		}
		return res, nil
	}
}

// probe checks answers with more care than the programs do, for a moment.
func (l Load) probe(ctx context.Context) error {
	l.Connections, l.Rate, l.Duration = 1, 100, 20*time.Millisecond
	res, err := l.run(ctx, true)
	if err == nil && res.Failed > 0 {
		err = fmt.Errorf("asked before saturation: %s", res.Problem)
	}
	return err
}

// seconds are what both programs take.
func (l Load) seconds() string {
	return strconv.Itoa(max(int(math.Round(l.Duration.Seconds())), 1))
}

func (l Load) url(host string) string {
	scheme := "http"
	if l.TLS || l.Protocol == work.HTTPS {
		scheme = "https"
	}
	return scheme + "://" + host + l.Path
}

func (l Load) wrk() []string {
	return []string{
		"-t1", fmt.Sprintf("-c%d", max(l.Connections, 1)), "-d" + l.seconds() + "s", "--timeout", "10s",
		"-H", "Host: " + l.Host, "-H", "User-Agent: loadtest", "-H", "Accept: */*", l.url(l.Addr),
	}
}

var (
	wrkTotal  = regexp.MustCompile(`(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)([KMGT]?)B read`)
	wrkErrors = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// parseWrk reads what wrk prints.
func parseWrk(out string, want int) (Result, error) {
	m := wrkTotal.FindStringSubmatch(out)
	if m == nil {
		return Result{}, errors.New("it says no count of requests")
	}
	var res Result
	var err error
	if res.Requests, err = strconv.Atoi(m[1]); err != nil {
		return Result{}, err
	}
	if res.Elapsed, err = time.ParseDuration(m[2] + m[3]); err != nil || res.Elapsed <= 0 {
		return Result{}, fmt.Errorf("it says no time: %q", m[2]+m[3])
	}
	if e := wrkErrors.FindStringSubmatch(out); e != nil {
		for _, n := range e[1:] {
			n, _ := strconv.Atoi(n)
			res.Failed += n
		}
		res.Problem = e[0]
	}
	if e := wrkStatus.FindStringSubmatch(out); e != nil {
		n, _ := strconv.Atoi(e[1])
		res.Requests -= n
		res.Failed += n
		res.Problem = e[0]
	}
	// It counts bytes of heads too, and prints them rounded.
	read, _ := strconv.ParseFloat(m[4], 64)
	read *= map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[m[5]]
	if read*1.01 < float64(res.Requests)*float64(want) {
		return Result{}, fmt.Errorf("%d answers of %d bytes are more than %sB", res.Requests, want, m[4]+m[5])
	}
	return res, nil
}

func (l Load) h2load() []string {
	_, port, _ := net.SplitHostPort(l.Addr)
	return []string{
		"-t1", fmt.Sprintf("-c%d", max(l.Connections, 1)), fmt.Sprintf("-m%d", max(l.Streams, 1)), "-D" + l.seconds(),
		"--connect-to=" + l.Addr, "-H", "User-Agent: loadtest", "-H", "Accept: */*", l.url(net.JoinHostPort(l.Host, port)),
	}
}

var (
	h2loadTime     = regexp.MustCompile(`finished in ([\d.]+)(us|ms|s|m)`)
	h2loadRequests = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadStatus   = regexp.MustCompile(`status codes: (\d+) 2xx`)
	h2loadTraffic  = regexp.MustCompile(`\((\d+)\) data`)
)

// parseH2load reads what h2load prints.
func parseH2load(out string, want int) (Result, error) {
	finished, requests, traffic := h2loadTime.FindStringSubmatch(out), h2loadRequests.FindStringSubmatch(out), h2loadTraffic.FindStringSubmatch(out)
	status := h2loadStatus.FindStringSubmatch(out)
	if finished == nil || requests == nil || traffic == nil || status == nil {
		return Result{}, errors.New("it says no count of requests")
	}
	var res Result
	var err error
	if res.Elapsed, err = time.ParseDuration(finished[1] + finished[2]); err != nil || res.Elapsed <= 0 {
		return Result{}, fmt.Errorf("it says no time: %q", finished[0])
	}
	res.Requests, _ = strconv.Atoi(requests[2])
	failed, _ := strconv.Atoi(requests[3])
	timeout, _ := strconv.Atoi(requests[5])
	if res.Failed = failed + timeout; res.Failed > 0 {
		res.Problem = requests[0]
	}
	data, _ := strconv.Atoi(traffic[1])
	if want >= 0 && data < res.Requests*want {
		return Result{}, fmt.Errorf("%d answers of %d bytes are more than %d bytes of data", res.Requests, want, data)
	}
	return res, nil
}
