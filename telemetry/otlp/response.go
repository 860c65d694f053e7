package otlp

import (
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one of a message: number is a varint's value, bytes what has a length.
type field struct {
	id     protowire.Number
	number uint64
	bytes  []byte
}

// fields calls yield with each field of an encoded message, until it is over or broken. The
// messages that a collector answers with are small, and their Go types come only with gRPC.
func fields(b []byte) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for len(b) > 0 {
			id, kind, n := protowire.ConsumeTag(b)
			if n < 0 {
				return
			}
			b = b[n:]
			f := field{id: id}
			switch kind {
			case protowire.VarintType:
				f.number, n = protowire.ConsumeVarint(b)
			case protowire.BytesType:
				f.bytes, n = protowire.ConsumeBytes(b)
			default:
				n = protowire.ConsumeFieldValue(id, kind, b)
			}
			if n < 0 || !yield(f) {
				return
			}
			b = b[n:]
		}
	}
}

// partialSuccess reads ExportTraceServiceResponse or ExportLogsServiceResponse: how many spans
// or records were rejected, and why, or only a warning.
func partialSuccess(response []byte) (rejected int64, message string) {
	for f := range fields(response) {
		if f.id != 1 {
			continue
		}
		for f := range fields(f.bytes) {
			switch f.id {
			case 1:
				rejected = int64(f.number)
			case 2:
				message = string(f.bytes)
			}
		}
	}
	return rejected, message
}

// rpcStatus reads google.rpc.Status: its message, and how long its RetryInfo says to wait.
func rpcStatus(b []byte) (message string, after time.Duration) {
	for f := range fields(b) {
		switch f.id {
		case 2:
			message = string(f.bytes)
		case 3:
			after = max(after, retryDelay(f.bytes))
		}
	}
	return message, after
}

// retryDelay reads an Any that holds google.rpc.RetryInfo; 0 where it holds something else.
func retryDelay(detail []byte) time.Duration {
	var kind string
	var value []byte
	for f := range fields(detail) {
		switch f.id {
		case 1:
			kind = string(f.bytes)
		case 2:
			value = f.bytes
		}
	}
	if !strings.HasSuffix(kind, "/google.rpc.RetryInfo") {
		return 0
	}
	var seconds, nanos int64
	for f := range fields(value) {
		if f.id != 1 {
			continue
		}
		for f := range fields(f.bytes) {
			switch f.id {
			case 1:
				seconds = int64(f.number)
			case 2:
				nanos = int64(f.number)
			}
		}
	}
	if seconds < 0 || nanos < 0 || seconds > int64(time.Hour/time.Second) {
		return 0
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos)
}
