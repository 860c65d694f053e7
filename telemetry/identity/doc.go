// Package identity owns who a proxy speaks for, and who it speaks with, as telemetry tells of
// them: workloads with their namespace, app, version and canonical names; and the header by
// which two proxies tell each other (x-envoy-peer-metadata).
//
// It must not know what is told of them: metrics, logs and traces do.
package identity
