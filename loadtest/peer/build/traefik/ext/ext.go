// Package ext stands for the folder of Traefik that is missing from its module, since it is one
// of its own there: fields that another edition adds to the configuration. There are none.
package ext

// HTTP and Router would be further fields of what dynamic configuration has under these names.
type (
	HTTP   struct{}
	Router struct{}
)
