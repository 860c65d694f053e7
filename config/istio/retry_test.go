package istio

import (
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// FuzzParseRetryOn reads lists of conditions: each word is one condition, whatever
// stands around it, and codes come out in order, each once.
func FuzzParseRetryOn(f *testing.F) {
	for word := range retryWords {
		f.Add(word)
	}
	for _, list := range []string{"", ",", " 5xx , 503 ,503,404", "503", "099,600,-1,5e2", "5XX", "reset,,reset"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		on, codes := parseRetryOn(list)
		var want router.RetryOn
		for _, word := range strings.Split(list, ",") {
			want |= retryWords[strings.TrimSpace(word)]
		}
		if len(codes) > 0 {
			want |= router.RetryStatusCodes
		}
		if on != want {
			t.Errorf("%q: conditions %b, want %b", list, on, want)
		}
		for i, code := range codes {
			if http.StatusText(code) == "" || i > 0 && codes[i-1] >= code {
				t.Errorf("%q: codes %v", list, codes)
			}
		}
	})
}

// TestRetryWords holds the words to one condition each, and all conditions to a word.
func TestRetryWords(t *testing.T) {
	t.Parallel()
	var all router.RetryOn
	for word, on := range retryWords {
		if bits.OnesCount32(uint32(on)) != 1 || all&on != 0 {
			t.Errorf("%s is no condition of its own", word)
		}
		all |= on
	}
	if want := router.RetryUnavailable<<1 - 1; all != want {
		t.Errorf("words for %b, want %b", all, want)
	}
	if on, codes := parseRetryOn("503,429, 503"); on != router.RetryStatusCodes || !slices.Equal(codes, []int{429, 503}) {
		t.Errorf("%b %v", on, codes)
	}
}
