// Package expression compiles expressions of the Common Expression Language (CEL) over what is
// known of an exchange or a connection, in Envoy's attributes ("response.code >= 400"), and
// evaluates them on the request path: without allocating in the steady state, and in bounded
// time. Telemetry's filters and tags are such expressions (Istio Telemetry
// accessLogging[].filter.expression, metrics[].overrides[].tagOverrides[].value).
//
// The language is CEL's (github.com/google/cel-spec, langdef.md) but for messages of Protocol
// Buffers, and a pattern of matches() that is no literal: there are none to name here. Types
// are checked before anything runs. An attribute or a key that is missing is an error, which
// "||" and "&&" absorb where the other side decides.
//
// It must not know what is done with the outcome.
package expression
