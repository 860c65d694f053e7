// Package logs holds the access logs of the built gateway to what others make of them: a
// collector on google.golang.org/grpc, a rotation of files as logrotate does it, and a reader
// that is stuck.
package logs
