package validate

import "github.com/sluicegate/sluice/config"

const (
	// Missing: a field that must be there is not.
	Missing config.Reason = "Missing"
	// BadHost: a host is no DNS name, wildcard or address that may stand there.
	BadHost config.Reason = "BadHost"
	// BadName: the name of an object, a port, a subset or a gateway is malformed.
	BadName config.Reason = "BadName"
	// BadLabel: a label's key or value is malformed.
	BadLabel config.Reason = "BadLabel"
	// BadAddress: an IP address, a CIDR block, a socket's path or an endpoint is
	// malformed.
	BadAddress config.Reason = "BadAddress"
	// BadPort: a port number is out of range.
	BadPort config.Reason = "BadPort"
	// BadProtocol: a protocol is unknown.
	BadProtocol config.Reason = "BadProtocol"
	// BadTLS: TLS settings are incomplete or contradict the port.
	BadTLS config.Reason = "BadTLS"
	// BadHeader: a header's name or value is malformed or may not be changed.
	BadHeader config.Reason = "BadHeader"
	// BadRegex: a regular expression is empty, too long or not RE2.
	BadRegex config.Reason = "BadRegex"
	// BadDuration: a duration is too short or too precise.
	BadDuration config.Reason = "BadDuration"
	// OutOfRange: a number or a word is not among those allowed.
	OutOfRange config.Reason = "OutOfRange"
	// BadWeights: weights are negative or don't add up.
	BadWeights config.Reason = "BadWeights"
	// Conflict: fields are set that exclude each other.
	Conflict config.Reason = "Conflict"
	// Duplicate: something is given twice that must be unique.
	Duplicate config.Reason = "Duplicate"
	// BadVisibility: exportTo is malformed.
	BadVisibility config.Reason = "BadVisibility"
	// NoEffect: a field has no effect where it stands.
	NoEffect config.Reason = "NoEffect"
	// Deprecated: a field has a successor.
	Deprecated config.Reason = "Deprecated"
	// Unreachable: a rule or a match can never take a request, because earlier ones
	// take them all.
	Unreachable config.Reason = "Unreachable"
	// Unsupported: the API has the field, and nothing implements it.
	Unsupported config.Reason = "Unsupported"
)
