package main

import (
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/sluicegate/sluice/cmd/internal/start"
)

// checkHSTS reports what makes no sense in --hsts: it goes into every response as it is, and what
// browsers cannot read they pass over in silence (RFC 6797 section 6.1).
func checkHSTS(value string) error {
	if value == "" {
		return nil
	}
	ages := 0
	for directive := range strings.SplitSeq(value, ";") {
		name, arg, _ := strings.Cut(strings.Trim(directive, " "), "=")
		switch {
		case name == "" && arg == "":
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(arg) || strings.ContainsAny(arg, "\t,"):
			return start.Misusef("--hsts %q: must be directives such as max-age=31536000; includeSubDomains", value)
		case strings.EqualFold(name, "max-age"):
			ages++
			if _, err := strconv.ParseUint(strings.Trim(arg, `"`), 10, 63); err != nil {
				return start.Misusef("--hsts %q: max-age must be a number of seconds, such as 31536000", value)
			}
		}
	}
	if ages != 1 {
		return start.Misusef("--hsts %q: must say once for how long, such as max-age=31536000", value)
	}
	return nil
}
