package expression

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// What an evaluation takes is bounded, in memory and in time, and to take more is an error.
func TestBounds(t *testing.T) {
	ex := answered()
	ex.Request.Path = "/" + strings.Repeat("abc", 2700)
	for i := range 80 {
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: fmt.Sprintf("x-%d", i), Value: "v"})
	}
	const headers = `request.headers.exists(a, request.headers.exists(b, request.headers.exists(c, %s)))`
	for name, text := range map[string]string{
		"strings that double": `['0123456789']` + strings.Repeat(`.map(x, x + x)`, 24) + `.exists(x, x == 'y')`,
		"lists that double":   `[[1]]` + strings.Repeat(`.map(x, x + x)`, 22) + `.exists(x, x == [1])`,
		"a row of sums":       strings.Repeat(`request.path + `, 900) + `'' == 'x'`,
		"patterns":            fmt.Sprintf(headers, `request.path.matches('(a|b|c|d)*e$')`),
		"a long pattern":      `request.path.matches('` + strings.Repeat("(a|b)*", 2500) + `$')`,
		"long lists":          fmt.Sprintf(headers, `a in [`+strings.Repeat("'x',", 3000)+`'y']`),
		"counting":            fmt.Sprintf(headers, `size(request.headers) == 0`),
		"what is not there":   fmt.Sprintf(`!`+headers, `'y' in [a, b, c]`),
	} {
		p, err := Compile(text, Condition)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, ok := p.Bool(ex)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if ok {
			t.Errorf("%s: it came to an end", name)
		}
		// A busy machine, and the race detector, are ten times slower than that.
		if took > 2*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		// The race detector has pools forget.
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 32 && !raceEnabled {
			t.Errorf("%s: it made %d MB", name, made)
		}
	}
}

// What people write comes nowhere near the bounds, though a client sends all that it may.
func TestWithinBounds(t *testing.T) {
	t.Parallel()
	ex := answered()
	ex.Request.Path = "/" + strings.Repeat("abc", 2700)
	for i := range 80 {
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: fmt.Sprintf("x-%d", i), Value: strings.Repeat("v", 500)})
	}
	for _, text := range []string{
		`request.headers.exists(h, h.startsWith('x-') && request.headers[h].contains('w')) || true`,
		`request.headers.all(h, !request.headers[h].matches('^(w|x)+$'))`,
		`size(request.headers.filter(h, h.startsWith('x-7')).map(h, request.headers[h])) == 11`,
		strings.Repeat(`request.path.matches('abd') || `, 100) + `true`,
	} {
		p, err := Compile(text, Condition)
		if err != nil {
			t.Fatal(err)
		}
		if value, ok := p.Bool(ex); !value || !ok {
			t.Errorf("%.60s: %t, %t", text, value, ok)
		}
	}
}
