package expression

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/expression"
)

// exchange is what expressions are evaluated for, and bindings what cel-go is told of it.
func exchange() *proxy.Exchange {
	return &proxy.Exchange{
		Request: router.Request{
			Method: "GET", Scheme: "http", Authority: "bookinfo.example.com", Path: "/productpage?u=tést",
			Headers: []router.Header{{Name: "a", Value: "1"}, {Name: "b", Value: ""}, {Name: "c", Value: "x,y"}},
		},
		Protocol: "HTTP/1.1",
		Local:    netip.MustParseAddrPort("127.0.0.1:8080"), Remote: netip.MustParseAddrPort("10.1.2.3:40123"),
		Status: 503, Details: "no_healthy_upstream", Flags: proxy.FlagNoHealthyUpstream, Attempts: 2,
		BytesReceived: 12, BytesSent: 5183, Start: 1_000_000, End: 251_900_000,
	}
}

func bindings(ex *proxy.Exchange) map[string]any {
	return map[string]any{
		"request": map[string]any{
			"method": "GET", "scheme": "http", "host": "bookinfo.example.com", "path": "/productpage?u=tést",
			"url_path": "/productpage", "query": "u=tést", "protocol": "HTTP/1.1", "size": int64(12), "total_size": int64(12), "headers_bytes": int64(0),
			"time": proxy.Wall(ex.Start), "duration": 250900 * time.Microsecond,
			"headers": map[string]string{"a": "1", "b": "", "c": "x,y", ":method": "GET", ":scheme": "http", ":authority": "bookinfo.example.com", ":path": "/productpage?u=tést"},
		},
		"response":    map[string]any{"code": int64(503), "code_details": "no_healthy_upstream", "flags": int64(2), "size": int64(5183), "total_size": int64(5183), "headers_bytes": int64(0)},
		"source":      map[string]any{"address": "10.1.2.3:40123", "port": int64(40123)},
		"destination": map[string]any{"address": "127.0.0.1:8080", "port": int64(8080)},
		"connection":  map[string]any{"mtls": false},
		"upstream":    map[string]any{"request_attempt_count": uint64(2)},
		"xds":         map[string]any{"listener_direction": int64(2)},
	}
}

// declared are the types of attributes, by which cel-go checks.
var declared = []cel.EnvOption{
	cel.Variable("request.method", cel.StringType), cel.Variable("request.path", cel.StringType), cel.Variable("request.host", cel.StringType),
	cel.Variable("request.useragent", cel.StringType), cel.Variable("request.size", cel.IntType), cel.Variable("request.time", cel.TimestampType),
	cel.Variable("request.duration", cel.DurationType), cel.Variable("request.headers", cel.MapType(cel.StringType, cel.StringType)),
	cel.Variable("response.code", cel.IntType), cel.Variable("response.grpc_status", cel.IntType), cel.Variable("response.flags", cel.IntType),
	cel.Variable("connection.mtls", cel.BoolType), cel.Variable("upstream.request_attempt_count", cel.UintType), cel.Variable("source.address", cel.StringType),
}

// judge is cel-go, once with types and once without, as Envoy evaluates.
type judge struct {
	checked, free *cel.Env
	ex            *proxy.Exchange
	bindings      map[string]any
}

func newJudge(t testing.TB) *judge {
	t.Helper()
	checked, err := cel.NewEnv(append([]cel.EnvOption{cel.CrossTypeNumericComparisons(true)}, declared...)...)
	if err != nil {
		t.Fatal(err)
	}
	free, err := cel.NewEnv(cel.CrossTypeNumericComparisons(true))
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange()
	return &judge{checked, free, ex, bindings(ex)}
}

// outcome is what an expression came to.
type outcome struct {
	text string
	ok   bool
}

// ours returns what our program comes to.
func (j *judge) ours(p *expression.Program) outcome {
	text, ok := p.AppendString(nil, j.ex)
	return outcome{string(text), ok}
}

// theirs returns what cel-go comes to without checking types; valid is false where it cannot
// even parse the text.
func (j *judge) theirs(text string) (o outcome, valid bool) {
	ast, issues := j.free.Parse(text)
	if issues.Err() != nil {
		return o, false
	}
	p, err := j.free.Program(ast)
	if err != nil {
		return o, true // such as a function that there is none of
	}
	v, _, err := p.Eval(j.bindings)
	if err != nil {
		return o, true
	}
	o.text, o.ok = textOf(v)
	return o, true
}

// checks tells whether cel-go finds the types right.
func (j *judge) checks(text string) bool {
	_, issues := j.checked.Compile(text)
	return issues.Err() == nil
}

func textOf(v ref.Val) (string, bool) {
	switch v := v.(type) {
	case types.Bool:
		return strconv.FormatBool(bool(v)), true
	case types.Int:
		return strconv.FormatInt(int64(v), 10), true
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), true
	case types.Double:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), true
	case types.String:
		return string(v), true
	case types.Bytes:
		return string(v), true
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), true
	case types.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64) + "s", true
	}
	return "", false
}
