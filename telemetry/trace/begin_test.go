package trace

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// tracer returns one with a policy for calls out, and none for calls in. Its random numbers are
// 1, 2, 3 and so on.
func tracer(t testing.TB, tracing router.Tracing, change ...func(*Options)) *Tracer {
	t.Helper()
	n := uint64(0)
	o := Options{Random: func() uint64 { n++; return n }}
	for _, c := range change {
		c(&o)
	}
	tr := New(o)
	tr.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Tracing: &tracing}}})
	return tr
}

// request makes an exchange with headers that are given as "name: value", one in a line.
func request(headers string) *proxy.Exchange {
	ex := &proxy.Exchange{Connection: &proxy.Connection{}}
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: name, Value: value})
		if name == "x-request-id" {
			ex.RequestID = value
		}
	}
	return ex
}

const (
	otherID, otherSpan = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"
	parentYes          = "traceparent: 00-" + id + "-" + span + "-01"
	parentNo           = "traceparent: 00-" + id + "-" + span + "-00"
	b3Yes              = "b3: " + otherID + "-" + otherSpan + "-1"
	b3No               = "b3: " + otherID + "-" + otherSpan + "-0"
	multiIDs           = "x-b3-traceid: " + otherID + "\nx-b3-spanid: " + otherSpan
	freshID            = "00000000000000010000000000000002"
)

func TestBegin(t *testing.T) {
	t.Parallel()
	const always, never = 100, 0
	w3c, b3, both, none := router.Tracing{W3C: true}, router.Tracing{B3: true}, router.Tracing{W3C: true, B3: true}, router.Tracing{}
	for name, c := range map[string]struct {
		tracing  router.Tracing
		sampling float64
		headers  string
		want     string // trace/parent, decision, headers written
	}{
		"nothing, chosen":             {w3c, always, "", freshID + "/- yes w3c"},
		"nothing, not chosen":         {w3c, never, "", freshID + "/- no w3c"},
		"nothing, told in B3":         {b3, always, "", freshID + "/- yes b3"},
		"nothing, told in both":       {both, always, "", freshID + "/- yes w3c b3"},
		"nothing is told":             {none, always, "", freshID + "/- yes"},
		"the caller records":          {w3c, never, parentYes, id + "/" + span + " yes w3c"},
		"the caller does not":         {w3c, always, parentNo, id + "/" + span + " no w3c"},
		"W3C where B3 is told":        {b3, never, parentYes, id + "/" + span + " yes w3c b3"},
		"B3 where W3C is told":        {w3c, never, b3Yes, otherID + "/" + otherSpan + " yes w3c b3 single"},
		"B3 does not":                 {w3c, always, b3No, otherID + "/" + otherSpan + " no w3c b3 single"},
		"several of B3":               {b3, never, multiIDs + "\nx-b3-sampled: 1", otherID + "/" + otherSpan + " yes b3"},
		"several, undecided":          {b3, always, multiIDs, otherID + "/" + otherSpan + " yes b3"},
		"several, undecided and not":  {b3, never, multiIDs, otherID + "/" + otherSpan + " no b3"},
		"debug":                       {b3, never, multiIDs + "\nx-b3-flags: 1", otherID + "/" + otherSpan + " debug b3"},
		"one before several":          {b3, never, b3Yes + "\nx-b3-traceid: " + id + "\nx-b3-spanid: " + span, otherID + "/" + otherSpan + " yes b3 single"},
		"one is bad, several are not": {b3, never, "b3: x\nx-b3-traceid: " + id + "\nx-b3-spanid: " + span + "\nx-b3-sampled: 1", id + "/" + span + " yes b3 single"},
		"denied":                      {b3, always, "b3: 0", freshID + "/- no b3 single"},
		"denied where W3C is told":    {w3c, always, "b3: 0", freshID + "/- no w3c b3 single"},
		"wanted":                      {w3c, never, "x-b3-sampled: 1", freshID + "/- yes w3c b3"},
		"conflict, W3C is told":       {w3c, never, parentYes + "\n" + b3No, id + "/" + span + " yes w3c b3 single"},
		"conflict, both are told":     {both, never, parentNo + "\n" + b3Yes, id + "/" + span + " no w3c b3 single"},
		"conflict, B3 is told":        {b3, never, parentYes + "\n" + b3No, otherID + "/" + otherSpan + " no w3c b3 single"},
		"W3C before denied":           {b3, never, parentYes + "\nb3: 0", id + "/" + span + " yes w3c b3 single"},
		"bad W3C, good B3":            {w3c, never, "traceparent: 00-1-2-3\n" + b3Yes, otherID + "/" + otherSpan + " yes w3c b3 single"},
		"bad W3C begins anew":         {w3c, always, "traceparent: 00-1-2-3\ntracestate: a=1", freshID + "/- yes w3c"},
		"two parents":                 {w3c, always, parentNo + "\n" + parentNo, freshID + "/- yes w3c"},
		"a parent twice of B3":        {b3, always, b3No + "\n" + b3No, freshID + "/- yes b3 single"},
		"several, one twice":          {b3, always, multiIDs + "\n" + multiIDs, freshID + "/- yes b3"},
		"state goes along":            {w3c, never, parentYes + "\ntracestate: a=1\ntracestate: b=2", id + "/" + span + " yes w3c state"},
		"bad state does not":          {w3c, never, parentYes + "\ntracestate: a=1,a=2", id + "/" + span + " yes w3c"},
		"state of another trace":      {b3, never, parentYes + "\ntracestate: a=1\n" + b3Yes, otherID + "/" + otherSpan + " yes w3c b3 single"},
		"bad W3C is replaced":         {b3, always, "traceparent: x", freshID + "/- yes w3c b3"},
		"forced":                      {w3c, never, "x-envoy-force-trace: true", freshID + "/- yes w3c"},
		"client's id":                 {w3c, never, "x-client-trace-id: 7", freshID + "/- yes w3c"},
		"the caller before force":     {w3c, never, parentNo + "\nx-envoy-force-trace: true", id + "/" + span + " no w3c"},
		"read though nothing is told": {none, never, parentYes, id + "/" + span + " yes"},
		"noted in the request's id":   {w3c, never, "x-request-id: 125a4afb-6f55-94ba-ad80-413f09f48a28", freshID + "/- no w3c"},
		"by the request's id, in":     {w3c, 50, "x-request-id: 00001387-6f55-44ba-ad80-413f09f48a28", freshID + "/- yes w3c"},
		"by the request's id, out":    {w3c, 50, "x-request-id: 00001388-6f55-44ba-ad80-413f09f48a28", freshID + "/- no w3c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.tracing.Sampling = c.sampling
			ex := request(c.headers)
			tracer(t, c.tracing).Begin(ex)
			if got := describeTrace(&ex.Trace); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if ex.Trace.Span == ([8]byte{}) || ex.Trace.Span == ex.Trace.Parent || ex.Trace.Tracing == nil {
				t.Errorf("got %+v", ex.Trace)
			}
		})
	}
}

func describeTrace(tr *proxy.Trace) string {
	parent := "-"
	if tr.Parent != ([8]byte{}) {
		parent = hex.EncodeToString(tr.Parent[:])
	}
	words := hex.EncodeToString(tr.ID[:]) + "/" + parent
	for _, w := range []struct {
		is   bool
		word string
	}{{!tr.Sampled, "no"}, {tr.Sampled && !tr.Debug, "yes"}, {tr.Debug && tr.Sampled, "debug"}, {tr.W3C, "w3c"}, {tr.B3, "b3"}, {tr.B3Single, "single"}, {tr.KeepState, "state"}} {
		if w.is {
			words += " " + w.word
		}
	}
	return words
}

func TestBeginByDirection(t *testing.T) {
	t.Parallel()
	tr := tracer(t, router.Tracing{W3C: true, Sampling: 100})
	in := request(parentYes)
	in.Connection.Inbound = true
	tr.Begin(in)
	if in.Trace.Tracing != nil || in.Trace.Sampled {
		t.Error("a call in is traced, though no policy says so")
	}
	tr.Apply(&router.Spec{Telemetry: &router.Telemetry{Inbound: router.TelemetryPolicy{Tracing: &router.Tracing{W3C: true}}}})
	out := request(parentYes)
	tr.Begin(out)
	tr.Begin(in)
	if out.Trace.Tracing != nil || !in.Trace.Sampled {
		t.Error("the new policy is not in force")
	}
	tr.Apply(&router.Spec{})
	again := request(parentYes)
	tr.Begin(again)
	if again.Trace.Tracing != nil {
		t.Error("tracing is not off")
	}
}

// TestNotedInRequestID: the mesh's own callers are believed what their request's id says.
func TestNotedInRequestID(t *testing.T) {
	t.Parallel()
	ex := request("x-request-id: 125a4afb-6f55-94ba-ad80-413f09f48a28")
	tracer(t, router.Tracing{W3C: true}, func(o *Options) { o.Trusted = true }).Begin(ex)
	if !ex.Trace.Sampled {
		t.Error("not traced")
	}
}

// TestShare: of many requests the policy's share is traced, whether by id or by lot.
func TestShare(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for _, lot := range []bool{false, true} {
		for _, percent := range []float64{0, 0.01, 1, 12.5, 99.99, 100} {
			t.Run(fmt.Sprintf("%v %v", lot, percent), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(1, 2))
				tr := tracer(t, router.Tracing{W3C: true, Sampling: percent, SampleAtRandom: lot}, func(o *Options) { o.Random = random.Uint64 })
				got := 0.0
				for range n {
					ex := &proxy.Exchange{RequestID: fmt.Sprintf("%08x-6f55-44ba-ad80-413f09f48a28", random.Uint32())}
					if tr.Begin(ex); ex.Trace.Sampled {
						got++
					}
				}
				p := percent / 100
				if want := n * p; math.Abs(got-want) > 5*math.Sqrt(n*p*(1-p)) {
					t.Errorf("%v of %v are traced, want about %v", got, n, want)
				}
			})
		}
	}
}

// TestBeginAllocatesNothing holds the request path to its budget.
func TestBeginAllocatesNothing(t *testing.T) {
	for name, headers := range benchmarked {
		ex := request(headers)
		tr := tracer(t, router.Tracing{W3C: true, B3: true, Sampling: 1}, func(o *Options) { o.Random = rand.Uint64 })
		if n := testing.AllocsPerRun(1000, func() { tr.Begin(ex) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

var benchmarked = map[string]string{
	"fresh":       "x-request-id: 125a4afb-6f55-44ba-ad80-413f09f48a28\naccept: */*\nuser-agent: curl/8.0",
	"traceparent": "x-request-id: 125a4afb-6f55-44ba-ad80-413f09f48a28\n" + parentYes + "\ntracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
	"b3":          "x-request-id: 125a4afb-6f55-44ba-ad80-413f09f48a28\n" + b3Yes,
	"x-b3":        "x-request-id: 125a4afb-6f55-44ba-ad80-413f09f48a28\n" + multiIDs + "\nx-b3-sampled: 1",
}

func BenchmarkBegin(b *testing.B) {
	b.Run("off", func(b *testing.B) {
		tr, ex := New(Options{}), request(parentYes)
		for b.Loop() {
			tr.Begin(ex)
		}
	})
	for name, headers := range benchmarked {
		b.Run(name, func(b *testing.B) {
			ex := request(headers)
			tr := tracer(b, router.Tracing{W3C: true, Sampling: 1}, func(o *Options) { o.Random = rand.Uint64 })
			b.ReportAllocs()
			for b.Loop() {
				tr.Begin(ex)
			}
		})
	}
}
