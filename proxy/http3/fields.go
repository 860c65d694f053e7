package http3

import (
	"net/http"
	"strings"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// addFields adds a response's fields to header, with prefix before their names, in memory of
// their own. Those that belong to connections of HTTP/1 are left out: clients take no message that
// has one (RFC 9114 section 4.2). quic-go encodes the head of a short response, and all trailers, only when the handler
// has returned: by then the buffer that the fields lie in may hold another exchange's bytes.
func addFields(header http.Header, prefix string, list []router.Header) {
	size := 0
	for _, h := range list {
		size += len(prefix) + len(h.Name) + len(h.Value)
	}
	var b strings.Builder
	b.Grow(size)
	for _, h := range list {
		b.WriteString(prefix)
		b.WriteString(h.Name)
		b.WriteString(h.Value)
	}
	for rest := b.String(); len(list) > 0; list = list[1:] {
		name := len(prefix) + len(list[0].Name)
		end := name + len(list[0].Value)
		if !http1.HopByHop(strings.ToLower(list[0].Name)) {
			header.Add(rest[:name], rest[name:end])
		}
		rest = rest[end:]
	}
}
