package forward

import (
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Seen makes of what a client sends what routing sees of it, for a question about a table: without the
// headers of the connection and those that only a trusted proxy may set, with those that the proxy
// adds, but for the client's address, which a question does not have. mesh and trustedHops are those of
// Options.
func Seen(r *router.Request, mesh bool, trustedHops int) {
	r.Upgrade, r.Connection = "", ""
	upgrade, _ := r.Header("upgrade")
	connection, _ := r.Header("connection")
	kept := r.Headers[:0]
	for _, h := range r.Headers {
		if !router.OfConnection(h.Name) {
			kept = append(kept, h)
		}
	}
	r.Headers = kept
	if strings.EqualFold(upgrade, "websocket") && strings.Contains(strings.ToLower(connection), "upgrade") {
		r.Upgrade, r.Connection = upgrade, connection
	}
	e := Engine{options: Options{Mesh: mesh, TrustedHops: trustedHops}}
	ex := proxy.Exchange{Request: *r, Connection: &proxy.Connection{}}
	e.identify(&ex)
	e.addForwarding(&ex)
	*r = ex.Request
}
