package http3

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

var (
	errFields      = &http1.ProtocolError{Status: http.StatusRequestHeaderFieldsTooLarge, Detail: "http3.too_many_headers"}
	errMethod      = &http1.ProtocolError{Status: http.StatusMethodNotAllowed, Detail: "http3.method_not_allowed"}
	errHost        = &http1.ProtocolError{Status: http.StatusBadRequest, Detail: "http3.invalid_authority"}
	errField       = &http1.ProtocolError{Status: http.StatusBadRequest, Detail: "http3.invalid_header"}
	errExpectation = &http1.ProtocolError{Status: http.StatusExpectationFailed, Detail: "http3.unknown_expectation"}
)

// take makes the exchange's request of what quic-go understood. It returns why the request
// is turned down, nil where it is not.
func (st *stream) take(r *http.Request) *http1.ProtocolError {
	o, ex := &st.server.options, &st.ex
	ex.Request.Method, ex.Request.Scheme, ex.Request.Authority, ex.Request.Path = r.Method, "https", r.Host, "/"
	switch {
	case r.Method == http.MethodConnect:
		return errMethod
	case !http1.ValidAuthority(r.Host):
		return errHost
	}
	if err := http1.CheckTarget(r.RequestURI, &o.HTTP.Limits); err != nil {
		return err
	}
	path, _, redirect, err := http1.AppendNormalPath(nil, r.RequestURI, o.HTTP.Policy.EscapedSlashes)
	if err != nil {
		return err
	}
	ex.Request.Path = path
	if err := st.takeFields(r); err != nil {
		return err
	}
	if redirect {
		return http1.PathRedirect()
	}
	return nil
}

// takeFields takes the header fields, by name: the order between names is lost.
func (st *stream) takeFields(r *http.Request) *http1.ProtocolError {
	o, ex := &st.server.options, &st.ex
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lower := strings.ToLower(name)
		switch lower {
		case "host", "content-length", "trailer":
			continue
		case "te":
			ex.WantsTrailers = true
			continue
		case "expect":
			if len(r.Header[name]) != 1 || !strings.EqualFold(r.Header[name][0], "100-continue") {
				return errExpectation
			}
			ex.Expect100 = true
			continue
		}
		if http1.HopByHop(lower) || !http1.ValidName(lower) {
			return errField
		}
		if o.HTTP.Policy.Underscored(lower) {
			return http1.ErrUnderscore()
		}
		for _, value := range r.Header[name] {
			if !http1.ValidValue(value) {
				return errField
			}
			ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: lower, Value: value})
		}
		if len(ex.Request.Headers) > o.HTTP.Limits.Fields {
			return errFields
		}
	}
	return nil
}

// reject answers a request that is turned down.
func (st *stream) reject(err *http1.ProtocolError) {
	st.server.observe(proxy.ConnRejected)
	r := proxy.Rejection{Status: err.Status, Detail: err.Detail}
	if err == http1.PathRedirect() {
		r.Location = "https://" + st.ex.Request.Authority + st.ex.Request.Path
	}
	st.server.options.HTTP.Engine.Reject(&st.ex, st, r)
}
