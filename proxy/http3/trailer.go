package http3

import (
	"strings"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// appendTrailer appends a trailer, where it is one that may be.
func appendTrailer(list []router.Header, name, value string) []router.Header {
	name = strings.ToLower(name)
	if !http1.TrailerAllowed(name) || !http1.ValidName(name) || !http1.ValidValue(value) {
		return list
	}
	return append(list, router.Header{Name: name, Value: value})
}
