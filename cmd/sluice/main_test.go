package main

import (
	"bytes"
	"strings"
	"testing"
)

// Exit statuses as the documents promise them.
const (
	exitOK     = 0
	exitFailed = 1
	exitMisuse = 2
)

// invoke runs a command line and returns what it printed.
func invoke(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stderr string // a part of it
	}{
		{"help", nil, exitOK, ""},
		{"version", []string{"version"}, exitOK, ""},
		{"completion", []string{"completion", "bash"}, exitOK, ""},
		{"unknown verb", []string{"validat"}, exitMisuse, "validate"},
		{"unknown flag", []string{"validate", "--nope"}, exitMisuse, "--nope"},
		{"unknown format", []string{"version", "-o", "xml"}, exitMisuse, "text, json, yaml"},
		{"validate nothing", []string{"validate"}, exitMisuse, "standard input"},
		{"validate a missing file", []string{"validate", "testdata/missing.yaml"}, exitFailed, "missing.yaml"},
		{"validate a good folder", []string{"validate", "-f", "testdata/shop/gateway.yaml"}, exitOK, ""},
		{"validate a bad folder", []string{"validate", "testdata/broken"}, exitFailed, ""},
		{"explain nothing", []string{"explain", "--config", "testdata/shop"}, exitMisuse, "URL"},
		{"explain no URL", []string{"explain", "--config", "testdata/shop", "http://"}, exitMisuse, "no host"},
		{"explain another scheme", []string{"explain", "--config", "testdata/shop", "ftp://a"}, exitMisuse, "http, https, tcp or tls"},
		{"explain a bad header", []string{"explain", "--config", "testdata/shop", "http://a", "-H", "nocolon"}, exitMisuse, "Name: value"},
		{"explain a bad host", []string{"explain", "--config", "testdata/shop", "http://a", "-H", "Host: a/b"}, exitMisuse, "not a host"},
		{"explain a bad method", []string{"explain", "--config", "testdata/shop", "http://a", "-X", "G T"}, exitMisuse, "method"},
		{"explain a bad port", []string{"explain", "--config", "testdata/shop", "http://a:0"}, exitMisuse, "port"},
		{"explain both sources", []string{"explain", "--config", "x", "--admin", "127.0.0.1:1", "http://a"}, exitMisuse, "admin"},
		{"explain flags without files", []string{"explain", "--namespace", "x", "http://a"}, exitMisuse, "--config"},
		{"a role there is not", []string{"pc", "routes", "--config", "testdata/shop", "--role", "waypoint"}, exitMisuse, "gateway or sidecar"},
		{"labels of the other role", []string{"pc", "routes", "--config", "testdata/shop", "--role", "gateway", "--workload-labels", "a=b"}, exitMisuse, "--labels"},
		{"no admin server", []string{"pc", "routes", "--admin", "127.0.0.1:1"}, exitFailed, "--admin"},
		{"no admin port", []string{"pc", "routes", "--admin", "localhost"}, exitMisuse, "host:port"},
		{"a live proxy alone", []string{"top", "--once", "--admin", "127.0.0.1:1"}, exitFailed, "name its --admin address\n"},
		{"completion of no shell", []string{"completion", "csh"}, exitMisuse, "csh"},
		{"help about nothing", []string{"help", "nope"}, exitMisuse, "nope"},
		{"help about help", []string{"help", "proxy-config"}, exitOK, ""},
		{"proxy-config of nothing", []string{"proxy-config"}, exitMisuse, "listeners"},
		{"proxy-config of something else", []string{"pc", "filters"}, exitMisuse, "filters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := invoke(test.args...)
			if status != test.status {
				t.Errorf("exited %d, want %d\n%s%s", status, test.status, stdout, stderr)
			}
			if !strings.Contains(stderr, test.stderr) {
				t.Errorf("stderr lacks %q:\n%s", test.stderr, stderr)
			}
		})
	}
}
