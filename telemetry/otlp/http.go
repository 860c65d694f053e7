package otlp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/version"
)

// maxResponse bounds what is read of a response. Those of collectors are a few bytes long.
const maxResponse = 1 << 20

// header returns the headers of every request, and its authority.
func header(to router.OTLP) (h http.Header, authority string) {
	h, authority = http.Header{}, to.Address
	for _, one := range to.Headers {
		if name := strings.ToLower(one.Name); name == "host" || name == ":authority" {
			authority = one.Value
		} else {
			h.Add(one.Name, one.Value)
		}
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "sluice/"+version.Get().Version)
	}
	if to.HTTP {
		h.Set("Content-Type", "application/x-protobuf")
	} else {
		h.Set("Content-Type", "application/grpc+proto")
		h.Set("Te", "trailers")
	}
	return h, authority
}

// request sends body to path, and returns the response with what was read of its body.
func (c *Client) request(ctx context.Context, path string, body []byte, extra ...string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.to.Address+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header, r.Host = c.headers.Clone(), c.authority
	for i := 0; i+1 < len(extra); i += 2 {
		r.Header.Set(extra[i], extra[i+1])
	}
	res, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, nil, later{error: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return nil, nil, later{error: fmt.Errorf("read the response: %w", err)}
	}
	if len(b) > maxResponse {
		return nil, nil, fmt.Errorf("the response is larger than %d bytes", maxResponse)
	}
	return res, b, nil
}

// post makes one request of OTLP/HTTP and returns the body of the response.
func (c *Client) post(ctx context.Context, s signal, body []byte) ([]byte, error) {
	path := c.to.Path
	switch {
	case path == "":
		path = s.path
	case path[0] != '/':
		path = "/" + path
	}
	res, b, err := c.request(ctx, path, body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 == 2 {
		return b, nil
	}
	err = fmt.Errorf("status %d", res.StatusCode)
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/x-protobuf") {
		if why, _ := rpcStatus(b); why != "" {
			err = fmt.Errorf("status %d: %s", res.StatusCode, why)
		}
	}
	// OTLP/HTTP Response, Retryable Response Codes.
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil, later{error: err, after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return nil, err
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3); 0 where it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
