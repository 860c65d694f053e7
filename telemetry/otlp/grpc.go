package otlp

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// prefix is the length of what stands before each message: a byte that says whether it is
// compressed, and its length (gRPC over HTTP2, Length-Prefixed-Message).
const prefix = 5

// frame encodes a message with its prefix.
func frame(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, prefix, prefix+1024), m)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)-prefix) > 1<<32-1 {
		return nil, errors.New("the message is larger than 4 GB")
	}
	binary.BigEndian.PutUint32(b[1:prefix], uint32(len(b)-prefix))
	return b, nil
}

// unframe returns the one message of a unary response, nil where there is none.
func unframe(b []byte) ([]byte, error) {
	switch {
	case len(b) == 0:
		return nil, nil
	case len(b) < prefix:
		return nil, errors.New("the response ends in the middle of its message")
	case b[0] != 0:
		return nil, errors.New("the response is compressed, which was not asked for")
	}
	n := uint64(binary.BigEndian.Uint32(b[1:prefix]))
	if n != uint64(len(b)-prefix) {
		return nil, fmt.Errorf("the response holds %d bytes of a message of %d", len(b)-prefix, n)
	}
	return b[prefix:], nil
}

// call makes one unary call and returns the message of the response.
func (c *Client) call(ctx context.Context, s signal, body []byte) ([]byte, error) {
	res, b, err := c.request(ctx, s.method, body, "Grpc-Timeout", strconv.FormatInt(max(1, c.to.Timeout.Milliseconds()), 10)+"m")
	if err != nil {
		return nil, err
	}
	trailer := res.Trailer
	if res.Header.Get("Grpc-Status") != "" { // the response is nothing but trailers
		trailer = res.Header
	}
	code, err := strconv.ParseUint(trailer.Get("Grpc-Status"), 10, 8)
	switch {
	case err == nil && code == 0:
		return unframe(b)
	case err == nil:
		return nil, failed(trailer, int(code))
	case res.StatusCode != http.StatusOK:
		return nil, withoutStatus(res.StatusCode)
	}
	return nil, later{error: errors.New("the response has no grpc-status")}
}

// Status codes of gRPC that decide about another try.
const (
	codeCancelled         = 1
	codeDeadlineExceeded  = 4
	codeResourceExhausted = 8
	codeAborted           = 10
	codeOutOfRange        = 11
	codeUnavailable       = 14
	codeDataLoss          = 15
)

// codeNames are those of gRPC's status codes.
var codeNames = [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// failed returns the error of a call that ended with a code other than OK (OTLP/gRPC Response,
// Failures).
func failed(trailer http.Header, code int) error {
	name := strconv.Itoa(code)
	if code < len(codeNames) {
		name = codeNames[code]
	}
	err := errors.New(name)
	if message := trailer.Get("Grpc-Message"); message != "" {
		if plain, bad := url.PathUnescape(message); bad == nil {
			message = plain
		}
		err = fmt.Errorf("%s: %s", name, message)
	}
	after := retryInfo(trailer.Get("Grpc-Status-Details-Bin"))
	switch code {
	case codeResourceExhausted:
		if after == 0 { // the collector does not say that it will recover
			return err
		}
	case codeCancelled, codeDeadlineExceeded, codeAborted, codeOutOfRange, codeUnavailable, codeDataLoss:
	default:
		return err
	}
	return later{error: err, after: after}
}

// withoutStatus returns the error of a response that is none of gRPC (HTTP to gRPC Status
// Code Mapping).
func withoutStatus(status int) error {
	err := fmt.Errorf("status %d, where a response of gRPC was expected", status)
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return later{error: err}
	}
	return err
}

// retryInfo returns the pause that the details of a status ask for; 0 where they do not.
func retryInfo(value string) time.Duration {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return 0
	}
	_, after := rpcStatus(b)
	return after
}
