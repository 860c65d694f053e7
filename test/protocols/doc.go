// Package protocols holds the gateway, as its users start it, to judges from outside: h2spec,
// gRPC's interoperability cases, a certificate authority that speaks ACME, and servers of
// databases. Its modules are not the project's own, so it is a module by itself.
package protocols
