// Package observability holds outside judges of what proxies tell about their traffic: a real
// Prometheus that scrapes them, and collectors of traces. They need modules that the product
// must not have, so this is a module of its own.
package observability
