package trace

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

const (
	id    = "4bf92f3577b34da6a3ce929d0e0e4736"
	span  = "00f067aa0ba902b7"
	half  = "a3ce929d0e0e4736"
	zeros = "00000000000000000000000000000000"
)

// describe writes a context in short: "ID/SPAN sampled".
func describe(c context, ok bool) string {
	if !ok {
		return "invalid"
	}
	words := []string{}
	if c.known {
		words = append(words, hex.EncodeToString(c.id[:])+"/"+hex.EncodeToString(c.span[:]))
	}
	switch {
	case c.debug:
		words = append(words, "debug")
	case c.decided && c.sampled:
		words = append(words, "yes")
	case c.decided:
		words = append(words, "no")
	default:
		words = append(words, "undecided")
	}
	return strings.Join(words, " ")
}

func TestParseTraceparent(t *testing.T) {
	t.Parallel()
	const both = id + "/" + span
	for in, want := range map[string]string{
		"00-" + id + "-" + span + "-01":                  both + " yes",
		"00-" + id + "-" + span + "-00":                  both + " no",
		"00-" + id + "-" + span + "-02":                  both + " no", // The flag of random ids.
		"00-" + id + "-" + span + "-ff":                  both + " yes",
		"cc-" + id + "-" + span + "-01":                  both + " yes",
		"cc-" + id + "-" + span + "-01-what":             both + " yes",
		"cc-" + id + "-" + span + "-01what":              "invalid",
		"cc-" + id + "-" + span + "-01.":                 "invalid",
		"00-" + id + "-" + span + "-01-":                 "invalid",
		"00-" + id + "-" + span + "-01-what":             "invalid",
		"ff-" + id + "-" + span + "-01":                  "invalid",
		"0-" + id + "-" + span + "-01":                   "invalid",
		"0g-" + id + "-" + span + "-01":                  "invalid",
		"00-" + zeros + "-" + span + "-01":               "invalid",
		"00-" + id + "-" + zeros[:16] + "-01":            "invalid",
		"00-" + strings.ToUpper(id) + "-" + span:         "invalid",
		"00-" + strings.ToUpper(id) + "-" + span + "-01": "invalid",
		"00-" + id + "-" + span + "-0A":                  "invalid",
		"00-" + id + "-" + span + "-1":                   "invalid",
		"00-" + id + "-" + span + "-0x":                  "invalid",
		"00-" + id + "-" + span:                          "invalid",
		"00-" + id[1:] + "--" + span + "-01":             "invalid",
		"00_" + id + "_" + span + "_01":                  "invalid",
		" 00-" + id + "-" + span + "-01":                 "invalid",
		"00-" + id + "-" + span + "-01,00-" + id:         "invalid",
		"":                                               "invalid",
	} {
		if got := describe(parseTraceparent(in)); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestParseB3(t *testing.T) {
	t.Parallel()
	const both, short = id + "/" + span, "0000000000000000" + half + "/" + span
	for in, want := range map[string]string{
		id + "-" + span:                         both + " undecided",
		id + "-" + span + "-1":                  both + " yes",
		id + "-" + span + "-0":                  both + " no",
		id + "-" + span + "-d":                  both + " debug",
		id + "-" + span + "-1-05e3ac9a4f6e3b":   "invalid",
		id + "-" + span + "-1-05e3ac9a4f6e3b90": both + " yes",
		id + "-" + span + "-1-05e3ac9a4f6e3b9X": "invalid",
		id + "-" + span + "-1-" + zeros[:16]:    both + " yes", // Who the parent was does not matter here.
		half + "-" + span:                       short + " undecided",
		half + "-" + span + "-1":                short + " yes",
		half + "-" + span + "-d-" + span:        short + " debug",
		"0":                                     "no",
		"1":                                     "yes",
		"d":                                     "debug",
		"2":                                     "invalid",
		"":                                      "invalid",
		"true":                                  "invalid",
		id:                                      "invalid",
		id + "-" + span + "-":                   "invalid",
		id + "-" + span + "-2":                  "invalid",
		id + "-" + span + "-true":               "invalid",
		id + span + "-1":                        "invalid",
		strings.ToUpper(id) + "-" + span + "-1": "invalid",
		zeros + "-" + span + "-1":               "invalid",
		id + "-" + zeros[:16] + "-1":            "invalid",
		id[:31] + "-" + span + "-1":             "invalid",
		id + "-" + span[:15] + "-1":             "invalid",
	} {
		if got := describe(parseB3(in)); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestParseMulti(t *testing.T) {
	t.Parallel()
	const both, short = id + "/" + span, "0000000000000000" + half + "/" + span
	for want, cases := range map[string][]multi{
		both + " undecided":  {{id: id, span: span}, {id: id, span: span, flags: "0"}},
		both + " yes":        {{id: id, span: span, sampled: "1"}, {id: id, span: span, sampled: "true"}},
		both + " no":         {{id: id, span: span, sampled: "0"}, {id: id, span: span, sampled: "false"}},
		both + " debug":      {{id: id, span: span, flags: "1"}, {id: id, span: span, flags: "1", sampled: "0"}},
		short + " undecided": {{id: half, span: span}},
		"yes":                {{sampled: "1"}, {sampled: "1", id: id}, {sampled: "1", span: span}, {sampled: "1", id: id, span: "x"}, {sampled: "1", id: zeros, span: span}},
		"no":                 {{sampled: "0"}},
		"debug":              {{flags: "1"}},
		"invalid":            {{}, {id: id}, {span: span}, {id: id, span: span, sampled: "d"}, {id: id, span: span[1:]}, {id: strings.ToUpper(id), span: span}, {id: id[1:], span: span}},
	} {
		for _, m := range cases {
			if got := describe(parseMulti(m)); got != want {
				t.Errorf("%+v is %s, want %s", m, got, want)
			}
		}
	}
}

func TestValidState(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(",k" + strings.Repeat("x", i) + "=1")
		}
		return b.String()[1:]
	}
	for _, c := range []struct {
		valid  bool
		values []string
	}{
		{true, []string{"congo=t61rcWkgMzE"}},
		{true, []string{"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}},
		{true, []string{"rojo=1 , congo=2", "b=3"}},
		{true, []string{"a=1,,b=2,"}},
		{true, []string{""}},
		{true, []string{"fw529a3039@dt=FfG,a_-*/9=x y~"}},
		{true, []string{"0tenant@s=1"}},
		{true, []string{strings.Repeat("k", 256) + "=" + strings.Repeat("v", 256)}},
		{true, []string{many(32)}},
		{false, []string{many(33)}},
		{false, []string{many(20), many(20)}},
		{false, []string{"a=1,a=2"}},
		{false, []string{"a=1", "b=2,a=3"}},
		{false, []string{"a"}},
		{false, []string{"=1"}},
		{false, []string{"a="}},
		{false, []string{"a=1=2"}},
		{false, []string{"A=1"}},
		{false, []string{"0a=1"}},
		{false, []string{"a@0=1"}},
		{false, []string{"a@b@c=1"}},
		{false, []string{"a b=1"}},
		{false, []string{"a=\x7f"}},
		{false, []string{"a=\t1\x01"}},
		{false, []string{strings.Repeat("k", 257) + "=1"}},
		{false, []string{strings.Repeat("k", 242) + "@s=1"}},
		{false, []string{"k@" + strings.Repeat("s", 15) + "=1"}},
		{false, []string{"k=" + strings.Repeat("v", 257)}},
	} {
		headers := []router.Header{{Name: "other", Value: "=,="}}
		for _, v := range c.values {
			headers = append(headers, router.Header{Name: "tracestate", Value: v})
		}
		if got := validState(headers); got != c.valid {
			t.Errorf("%q: %v, want %v", c.values, got, c.valid)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"125a4afb-6f55-44ba-ad80-413f09f48a28":  false,
		"125a4afb-6f55-94ba-ad80-413f09f48a28":  true,
		"125a4afb-6f55-a4ba-ad80-413f09f48a28":  true,
		"125a4afb-6f55-b4ba-ad80-413f09f48a28":  true,
		"125a4afb-6f55-94ba-ad80-413f09f48a28x": false,
		"":                                      false,
	} {
		if got := tracedByID(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
	for id, want := range map[string]uint64{
		"125a4afb-6f55-44ba-ad80-413f09f48a28": 0x125a4afb,
		"125A4AFB-6f55-44ba-ad80-413f09f48a28": 0x125a4afb,
		"019a4afb-6f55-74ba-ad80-413f09f48a28": 0x09f48a28,
		"deadbeef":                             0xdeadbeef,
	} {
		if got := number(id); got != want {
			t.Errorf("%q: %x, want %x", id, got, want)
		}
	}
	if a, b, again := number("order-7"), number("order-8"), number("order-7"); a == b || a != again {
		t.Error("other ids have no number of their own")
	}
}

// checkContext holds what a parser made of a header to what is always so.
func checkContext(t *testing.T, in string, c context, ok bool) {
	t.Helper()
	if !ok && c != (context{}) && c.known {
		t.Errorf("%q is not valid, but has ids", in)
	}
	if c.known && (c.id == [16]byte{} || c.span == [8]byte{}) {
		t.Errorf("%q has an id of zeros", in)
	}
	if c.sampled && !c.decided || c.debug && !c.sampled {
		t.Errorf("%q: %+v", in, c)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-" + id + "-" + span + "-01")
	f.Add("cc-" + id + "-" + span + "-01-more")
	f.Fuzz(func(t *testing.T, v string) {
		c, ok := parseTraceparent(v)
		checkContext(t, v, c, ok)
		if ok && !strings.HasPrefix(v[2:], "-"+hex.EncodeToString(c.id[:])+"-"+hex.EncodeToString(c.span[:])+"-") {
			t.Errorf("%q was read as %s", v, describe(c, ok))
		}
	})
}

func FuzzB3(f *testing.F) {
	for _, v := range []string{"0", "d", id + "-" + span, half + "-" + span + "-1-" + span} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		c, ok := parseB3(v)
		if ok {
			checkContext(t, v, c, ok)
		}
		if ok && c.known && !strings.Contains(v, hex.EncodeToString(c.span[:])) {
			t.Errorf("%q was read as %s", v, describe(c, ok))
		}
	})
}

func FuzzMulti(f *testing.F) {
	f.Add(id, span, "1", "")
	f.Add(half, span, "true", "1")
	f.Fuzz(func(t *testing.T, id, span, sampled, flags string) {
		c, ok := parseMulti(multi{id, span, sampled, flags})
		checkContext(t, id+" "+span, c, ok)
		if ok && c.known && hex.EncodeToString(c.id[16-len(id)/2:]) != id {
			t.Errorf("%q was read as %s", id, describe(c, ok))
		}
	})
}

func FuzzTracestate(f *testing.F) {
	f.Add("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	f.Add("a@b=1, ,c=d e")
	f.Fuzz(func(t *testing.T, v string) {
		if !validState([]router.Header{{Name: "tracestate", Value: v}}) {
			return
		}
		for member := range strings.SplitSeq(v, ",") {
			if member = strings.Trim(member, " \t"); member != "" && strings.Count(member, "=") != 1 {
				t.Errorf("%q passes with the member %q", v, member)
			}
		}
	})
}
