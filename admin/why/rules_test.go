package why

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// aboutResponses are what is wrong with what an upstream sends: no rule for requests.
var aboutResponses = map[string]bool{
	"invalid_status_line": true, "ambiguous_response_framing": true, "unsupported_transfer_encoding_in_response": true, "unsolicited_upgrade": true,
}

// TestEveryRuleIsExplained: whatever a codec refuses a request for is told in words.
func TestEveryRuleIsExplained(t *testing.T) {
	t.Parallel()
	details := regexp.MustCompile(`"http[123]\.(\w+)"`)
	found := map[string]bool{"grpc_base_64_decode_failed": true}
	for _, folder := range []string{"http1", "http2", "http3"} {
		names, err := filepath.Glob("../../proxy/" + folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range details.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
		}
	}
	if len(found) < 40 {
		t.Fatalf("only %d details are found", len(found))
	}
	for detail := range found {
		if _, told := rules[detail]; !told && !aboutResponses[detail] {
			t.Errorf("%s is not told of", detail)
		}
	}
	for detail := range rules {
		if !found[detail] {
			t.Errorf("%s is told of, but no codec says it", detail)
		}
	}
}
