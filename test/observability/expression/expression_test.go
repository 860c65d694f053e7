package expression

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/telemetry/expression"
)

// compare holds our outcome to cel-go's. It returns what it was: "equal", "error" for both,
// "rejected" by our types and theirs, "stricter" where only ours reject.
func (j *judge) compare(t testing.TB, text string) string {
	t.Helper()
	p, err := expression.Compile(text, expression.Text)
	want, valid := j.theirs(text)
	if err != nil {
		if !j.checks(text) {
			return "rejected"
		}
		for _, known := range stricter {
			if strings.Contains(err.Error(), known) {
				return "stricter"
			}
		}
		t.Errorf("%s\n  is rejected: %v\n  cel-go finds it right", text, err)
		return "wrong"
	}
	if !valid {
		t.Errorf("%s\n  is taken, and cel-go cannot parse it", text)
		return "wrong"
	}
	got := j.ours(p)
	if got != want {
		t.Errorf("%s\n  is %q (%t)\n  cel-go: %q (%t)", text, got.text, got.ok, want.text, want.ok)
		return "wrong"
	}
	if got.ok {
		return "equal"
	}
	return "error"
}

// stricter are our reasons to reject what cel-go takes.
var stricter = []string{
	"which has no text",             // lists and maps have none
	"must be a literal",             // patterns and time zones are compiled before
	"the pattern is none of RE2",    // which cel-go finds out as it runs
	"there is no time zone",         // likewise
	" cannot make a ",               // a conversion of a literal that fails
	"stand in a row",                // limits
	"stand in each other more than", // limits
	"there is no function type",     // types are no values here
	"is no attribute that is known", // not all of Envoy's are
	"whole numbers or bools",        // keys of maps
	"a string is not UTF-8",
	"does not take null",
	"and a null",
	"with a null, which have no order",
	"is a type, and no value here",
}

// draw draws expressions of a type, and now and then of another.
type draw struct{ *rand.Rand }

func (d draw) of(kinds ...func(depth int) string) func(depth int) string {
	return kinds[d.IntN(len(kinds))]
}

func (d draw) pick(list ...string) string { return list[d.IntN(len(list))] }

// any draws an expression of any type.
func (d draw) any(n int) string {
	return d.of(d.bool, d.bool, d.int, d.uint, d.double, d.string, d.bytes, d.moment, d.span, d.list, d.object, func(int) string { return "null" })(n)
}

// or draws what f does, seldom something else.
func (d draw) or(f func(int) string, n int) string {
	if d.IntN(25) == 0 {
		return d.any(n)
	}
	return f(n)
}

func (d draw) bool(n int) string {
	if n <= 0 {
		return d.pick("true", "false", "connection.mtls", "has(request.useragent)", "has(request.path)", "'a' in request.headers", "has(request.headers.zz)")
	}
	n--
	switch d.IntN(16) {
	case 0, 1:
		return "(" + d.or(d.bool, n) + d.pick(" && ", " || ") + d.or(d.bool, n) + ")"
	case 2:
		return "!" + d.paren(d.or(d.bool, n))
	case 3, 4:
		f := d.of(d.int, d.uint, d.double, d.string, d.bytes, d.moment, d.span, d.bool)
		return d.paren(f(n)) + d.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + d.paren(d.or(f, n))
	case 5:
		return d.number(n) + d.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + d.number(n)
	case 6:
		return d.paren(d.any(n)) + d.pick(" == ", " != ") + d.paren(d.any(n))
	case 7:
		return d.paren(d.or(d.string, n)) + d.pick(".contains", ".startsWith", ".endsWith") + "(" + d.or(d.string, n) + ")"
	case 8:
		return d.paren(d.string(n)) + ".matches(" + d.pick("'^/prod'", "'a+'", "'x|y$'", "r'\\d'", "'('") + ")"
	case 9:
		if d.IntN(2) == 0 {
			return d.paren(d.of(d.int, d.uint, d.double, d.bool, d.string)(n)) + " in " + d.object(n)
		}
		return d.paren(d.any(n)) + " in " + d.list(n)
	case 10, 11:
		return d.list(n) + d.pick(".all", ".exists", ".exists_one") + "(x, " + d.variable(n) + ")"
	case 12:
		return d.pick("request.headers", d.object(n)) + d.pick(".all", ".exists", ".exists_one") + "(k, " + d.pick("k == 'a'", "k.size() > 1", "k == 1", "request.headers[k] != ''", "true") + ")"
	case 13:
		return "bool(" + d.pick("'true'", "'f'", "'yes'", "request.path", d.bool(n)) + ")"
	case 14:
		return "dyn(" + d.any(n) + ")" + d.pick(" == ", " < ", " in ", " && ", " || ") + "dyn(" + d.any(n) + ")"
	}
	return d.ternary(d.bool, n)
}

// variable draws a condition of x.
func (d draw) variable(n int) string {
	return d.pick("x == 1", "x > 0", "x", "x == 'a' || "+d.bool(n), "1 / x > 0", "x != null && "+d.bool(n), "[x].exists(y, y == x)", "x in [1, 2u, 'a']")
}

func (d draw) paren(s string) string {
	if strings.ContainsAny(s, " !?-") {
		return "(" + s + ")"
	}
	return s
}

func (d draw) ternary(f func(int) string, n int) string {
	return "(" + d.or(d.bool, n) + " ? " + f(n) + " : " + d.or(f, n) + ")"
}

func (d draw) number(n int) string { return d.paren(d.of(d.int, d.uint, d.double)(n)) }

func (d draw) int(n int) string {
	if n <= 0 {
		return d.pick("0", "1", "-1", "42", "0x1F", "9223372036854775807", "-9223372036854775808", "response.code", "request.size", "response.flags", "response.grpc_status")
	}
	n--
	switch d.IntN(10) {
	case 0, 1, 2:
		return "(" + d.or(d.int, n) + d.pick(" + ", " - ", " * ", " / ", " % ") + d.paren(d.or(d.int, n)) + ")"
	case 3:
		return "-" + d.paren(d.int(n))
	case 4:
		return "int(" + d.pick("'12'", "'-5'", "'+7'", "'x'", "' 1'", d.uint(n), d.double(n), d.string(n), d.moment(n)) + ")"
	case 5:
		return "size(" + d.of(d.string, d.bytes, d.list, d.object)(n) + ")"
	case 6:
		return d.paren(d.of(d.string, d.bytes, d.list, d.object)(n)) + ".size()"
	case 7:
		return d.paren(d.moment(n)) + "." + d.pick("getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes", "getSeconds", "getMilliseconds") + "(" + d.pick("", "'+01:30'", "'-11:00'", "'UTC'", "'02:00'") + ")"
	case 8:
		return d.paren(d.span(n)) + "." + d.pick("getHours", "getMinutes", "getSeconds", "getMilliseconds", "getDate") + "()"
	}
	return d.ternary(d.int, n)
}

func (d draw) uint(n int) string {
	if n <= 0 {
		return d.pick("0u", "1u", "7U", "0xFFu", "18446744073709551615u", "upstream.request_attempt_count")
	}
	n--
	switch d.IntN(4) {
	case 0, 1:
		return "(" + d.or(d.uint, n) + d.pick(" + ", " - ", " * ", " / ", " % ") + d.or(d.uint, n) + ")"
	case 2:
		return "uint(" + d.pick("'12'", "'-5'", "'x'", d.int(n), d.double(n), d.string(n)) + ")"
	}
	return d.ternary(d.uint, n)
}

func (d draw) double(n int) string {
	if n <= 0 {
		return d.pick("0.0", "1.5", "-2.25", "1e3", "1E-7", "1e300", ".5", "9007199254740993.0", "1e19")
	}
	n--
	switch d.IntN(5) {
	case 0, 1:
		return "(" + d.or(d.double, n) + d.pick(" + ", " - ", " * ", " / ") + d.paren(d.or(d.double, n)) + ")"
	case 2:
		return "double(" + d.pick("'1.5'", "'1e400'", "'x'", d.int(n), d.uint(n)) + ")"
	case 3:
		return "-" + d.paren(d.double(n))
	}
	return d.ternary(d.double, n)
}

func (d draw) string(n int) string {
	if n <= 0 {
		return d.pick("''", "'a'", `"tést\n"`, `r'\d'`, "'''a'b'''", `'\u00e9\x41\101\U0001F600'`, "request.path", "request.method", "request.useragent", "request.headers['a']", "request.headers.c", "request.headers['none']", "source.address")
	}
	n--
	switch d.IntN(5) {
	case 0, 1:
		return "(" + d.or(d.string, n) + " + " + d.or(d.string, n) + ")"
	case 2, 3:
		return "string(" + d.of(d.int, d.uint, d.double, d.bool, d.string, d.bytes, d.span, d.moment, d.list)(n) + ")"
	}
	return d.ternary(d.string, n)
}

func (d draw) bytes(n int) string {
	if n <= 0 {
		return d.pick("b''", "b'a'", `b'\xff\101'`, "b'é'", `br'\x'`)
	}
	n--
	switch d.IntN(3) {
	case 0:
		return "(" + d.or(d.bytes, n) + " + " + d.or(d.bytes, n) + ")"
	case 1:
		return "bytes(" + d.or(d.string, n) + ")"
	}
	return d.ternary(d.bytes, n)
}

func (d draw) moment(n int) string {
	if n <= 0 {
		return d.pick("request.time", "timestamp('2026-11-21T08:08:07.065Z')", "timestamp('1969-12-31T21:59:59Z')", "timestamp(0)", "timestamp('9999-12-31T23:59:59.999999999Z')", "timestamp(1795248487)")
	}
	n--
	switch d.IntN(4) {
	case 0, 1:
		return "(" + d.moment(n) + d.pick(" + ", " - ") + d.or(d.span, n) + ")"
	case 2:
		return "timestamp(" + d.pick(d.string(n), d.int(n), d.moment(n)) + ")"
	}
	return d.ternary(d.moment, n)
}

func (d draw) span(n int) string {
	if n <= 0 {
		return d.pick("request.duration", "duration('1h30m')", "duration('-1.5s')", "duration('250ms')", "duration('0s')")
	}
	n--
	switch d.IntN(4) {
	case 0:
		return "(" + d.span(n) + d.pick(" + ", " - ") + d.or(d.span, n) + ")"
	case 1:
		return "(" + d.moment(n) + " - " + d.moment(n) + ")"
	case 2:
		return "duration(" + d.pick(d.span(n), "string("+d.span(n)+")", d.string(n)) + ")"
	}
	return d.ternary(d.span, n)
}

func (d draw) list(n int) string {
	if n <= 0 {
		return d.pick("[]", "[1, 2, 0]", "['a', 'b']", "[1, 'a', 2u, null]", "[true, false]", "[1.5, 1]")
	}
	n--
	switch d.IntN(6) {
	case 0, 1:
		f := d.of(d.int, d.string, d.bool, d.any)
		return "[" + f(n) + ", " + d.or(f, n) + d.pick("", ",") + "]"
	case 2:
		return "(" + d.list(n) + " + " + d.list(n) + ")"
	case 3:
		return d.list(n) + ".filter(x, " + d.variable(n) + ")"
	case 4:
		return d.list(n) + ".map(x, " + d.pick("x", "[x, 1]", d.variable(n)) + ")"
	}
	return d.list(n) + ".map(x, " + d.variable(n) + ", " + d.pick("x", "x == 1", d.any(n)) + ")"
}

func (d draw) object(n int) string {
	if n <= 0 {
		return d.pick("{}", "{'a': 1, 'b': 2}", "{1: 'a', 2u: 'b', true: 'c'}", "request.headers", "{1: 1, 2u: 2}")
	}
	n--
	return "{" + d.of(d.string, d.int, d.bool)(n) + ": " + d.any(n) + ", 'k': " + d.any(n) + "}"
}

// top draws a whole expression; half of those of lists and maps take a part of it.
func (d draw) top() string {
	n := 1 + d.IntN(4)
	switch d.IntN(8) {
	case 0:
		return d.list(n) + "[" + d.pick("0", "1", "-1", "1u", "0.0", "'a'", "9") + "]"
	case 1:
		return d.object(n) + d.pick(".a", "['a']", "[1]", "[2u]", "[true]", "[1.0]", ".k")
	case 2:
		return d.any(n)
	}
	return d.bool(n)
}

// TestDrawnExpressions holds thousands of expressions to cel-go.
func TestDrawnExpressions(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	d := draw{rand.New(rand.NewPCG(2026, 11))}
	count := map[string]int{}
	const n = 8_000
	for range n {
		if count[j.compare(t, d.top())]++; count["wrong"] > 20 {
			t.Fatal("and so on")
		}
	}
	t.Logf("of %d expressions: %v", n, count)
	if count["equal"] < n/4 || count["error"] < n/50 || count["rejected"] < n/50 {
		t.Errorf("the draw is lopsided: %v", count)
	}
}

// TestText holds single expressions to cel-go: the corners of the grammar, and mistakes.
func TestText(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, text := range []string{
		`1`, `1u`, `1.`, `.1`, `1.e3`, `1e`, `0x`, `0xg`, `1_000`, `1..2`, `- 1`, `--1`, `---1`, `-  -1`, `!!true`, `!-1`, `-9223372036854775808`, `- 9223372036854775808`, `9223372036854775808`, `-9223372036854775809`,
		`1-1`, `1 -1`, `1--1`, `1 - - 1`, `2 * 3 + 4`, `2 + 3 * 4`, `10 - 3 - 2`, `100 / 10 / 2`, `1 < 2 == true`, `1 < 2 < 3`, `true == 1 < 2`, `true ? 1 : false ? 2 : 3`, `true ? false ? 1 : 2 : 3`, `(true ? 1 : 2) + 1`, `true || 1 / 0 > 0`, `1 / 0 > 0 || true`, `1 / 0 > 0 && false`, `1 / 0 > 0 || false`,
		`'a' 'b'`, `"a\"b"`, `'a\'b'`, `"a'b"`, `'''a''b'''`, `"""a""b"""`, `'''a
b'''`, "'a\nb'", `r"\""`, `R'\'`, `b"é"`, `B'\u0041'`, `'\u0041'`, `'\uD800'`, `'\U00110000'`, `'\x4'`, `'\400'`, `'\377'`, `'\?\` + "`" + `'`, `rb'a'`, `br"a"`, `'\xff' == 'ÿ'`, `b'\xff' == b'ÿ'`, `'` + "\xff" + `'`,
		`[1, 2, 3,]`, `[,]`, `{,}`, `{'a': 1,}`, `{'a': 1}.a`, `{'a': 1}.b`, `{'a': {'b': 2}}.a.b`, `has({'a': 1}.a)`, `has({'a': 1}['a'])`, `has(request)`, `has(1)`, `[1][0]`, `[1][1]`, `[1][-1]`, `[[1]][0][0]`, `'abc'[0]`,
		`request.path`, `.request.path`, `request .path`, `request. path`, `request.path.size()`, `request['path']`, `request.headers.a`, `request.headers['a' + '']`, `size('é')`, `size(b'é')`, `'é'.size()`, `size(1)`, `size()`, `size('a', 'b')`, `x`, `x.y`, `f(1)`, `1.f()`, `'a'.f()`,
		`true && 'a'`, `1 + 'a'`, `1 + 1u`, `1 + 1.0`, `1 == 1u`, `1 == 1.0`, `1 < 1.5`, `1u < 1.5`, `18446744073709551615u > 9223372036854775807`, `-1 < 0u`, `0.0 / 0.0 == 0.0 / 0.0`, `0.0 / 0.0 < 1`, `1.0 / 0.0 > 1e300`, `null == null`, `null == 1`, `dyn(null) == 1`, `dyn(1) == 'a'`, `dyn(1) < 'a'`,
		`1 in [1, 2]`, `1.0 in [1, 2]`, `1 in ['a']`, `dyn(1) in ['a']`, `'a' in {'a': 1}`, `1 in 'a'`, `[1] == [1.0]`, `{'a': 1} == {'a': 1.0}`, `{1: 2} == {1u: 2}`, `{1: 2}[1u]`, `{1: 2}[1.0]`, `{1.5: 2}`, `{null: 1}`, `[] == []`, `[1, 2] == [2, 1]`,
		`[1, 2].all(x, x > 0)`, `[1, 0].all(x, 1 / x > 0)`, `[0, -1].all(x, 1 / x > 0)`, `[0, 1].exists(x, 1 / x > 0)`, `[0].exists(x, 1 / x > 0)`, `[0, 1].exists_one(x, 1 / x > 0)`, `[1, 1].exists_one(x, x == 1)`, `[1, 2].map(x, x * 2)[1]`, `[1, 2].map(x, x > 1, x * 2)[0]`, `[1, 2].filter(x, x > 1)[0]`, `[1].all(x, y)`, `[1].all(1, true)`, `[1].all(x)`, `1.all(x, true)`, `[1].map(x, [2].map(x, x))[0][0]`, `[1].exists(request, request == 1)`, `[[1, 2], [3]].all(l, l.exists(x, x > 1))`,
		`int('0x1F')`, `int('1_0')`, `int(1.9)`, `int(-1.9)`, `int(1e19)`, `int(-9.3e18)`, `int(9223372036854775807u)`, `int(18446744073709551615u)`, `uint(-1)`, `uint(1.9)`, `uint(-0.5)`, `double('inf')`, `double(9007199254740993)`, `string(1.0)`, `string(1e21)`, `string(1e20)`, `string(0.1)`, `string(-0.0)`, `string(b'\xff')`, `string(null)`, `bool('TRUE')`, `bool('1')`, `bool(1)`, `bytes('é') == b'é'`,
		`timestamp('2026-11-21T08:08:07Z').getHours('Europe/Berlin')`, `timestamp('2026-11-21T08:08:07Z').getDayOfWeek()`, `timestamp('2026-11-21')`, `timestamp('2026-11-21T08:08:07.1234567890Z')`, `timestamp(253402300800)`, `timestamp('2026-11-21T08:08:07Z') + duration('24h')`, `timestamp('9999-12-31T23:59:59Z') + duration('1s')`, `timestamp('0001-01-01T00:00:00Z') - duration('1s')`, `duration('1d')`, `duration('1h') + timestamp(0)`, `timestamp(0) - timestamp(1)`, `duration('1h') - timestamp(0)`, `string(duration('1h1.5s'))`, `string(timestamp(0))`, `duration('9223372036.854775807s') + duration('1s')`, `duration('1s') * 2`, `-duration('1s')`, `duration('1s') < duration('1m')`, `int(duration('1s'))`, `timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')`,
		`// remark`, "1 // remark", "1 + // remark\n1", `1 /* x */`, `if`, `in`, `a.in`, `as`, `request.if`, `{'if': 1}.if`, `true.a`, `null.a`, `A{}`, `a.B{c: 1}`, `request.headers{}`, `(1`, `1)`, `[1`, `{1`, `{1: }`, `1 ? 2`, `1 ? 2 :`, `true ? 1 : 'a'`, `= 1`, `1 = 1`, `1 & 1`, `1 | 1`, `a := 1`, `$`, `#`, `1;`, `@`, "`a`", `a.` + "`b`", `[1, 2].exists_one(x, x == 1)`, `"\`, `'`, `b`, `r`, `rr'a'`, `bb'a'`, `1.0u`, `1ul`, `0b1`, `00`, `01`, `1e+5`, `1e5u`, `'a'.matches('a')`, `matches('a', 'a')`, `'a'.matches('(')`, `'a'.contains(1)`, `contains('a', 'a')`, `type(1) == int`, `int`, `dyn([1])[0]`, `dyn({'a': 1}).a`, `dyn({'a': 1}).b`, `has(dyn({'a': 1}).b)`, `has(dyn(1).b)`,
	} {
		j.compare(t, text)
	}
}

// FuzzText holds texts of any kind to cel-go.
func FuzzText(f *testing.F) {
	d := draw{rand.New(rand.NewPCG(7, 7))}
	for range 200 {
		f.Add(d.top())
	}
	j := newJudge(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 500 || strings.Contains(text, "time") || strings.Contains(text, "matches") || strings.Count(text, ".map") > 2 {
			return
		}
		j.compare(t, text)
	})
}

func Example_compile() {
	p, err := expression.Compile("response.code >= 500 ? 'failed' : 'served'", expression.Text)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := p.AppendString(nil, exchange())
	fmt.Println(string(text))
	// Output: failed
}
