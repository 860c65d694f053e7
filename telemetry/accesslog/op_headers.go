package accesslog

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// field appends a header's value; ok is false where there is none.
type field func(dst []byte, ex *proxy.Exchange) (value []byte, ok bool)

// addHeaderOperators adds the operators that read headers and paths.
func addHeaderOperators() {
	for names, look := range map[string]func(name string, w *wanted) field{
		"REQ REQUEST_HEADER":       requestField,
		"RESP RESPONSE_HEADER":     responseField,
		"TRAILER RESPONSE_TRAILER": trailerField,
	} {
		for _, name := range strings.Fields(names) {
			operators[name] = operator{argument: true, make: fieldOf(look, false)}
		}
	}
	for _, name := range []string{"REQ", "REQUEST_HEADER"} {
		operators[name] = operator{argument: true, make: request(operators[name].make)}
	}
	operators["REQ_WITHOUT_QUERY"] = operator{argument: true, make: fieldOf(requestField, true)}
	operators["PATH"] = operator{argument: true, make: path}
	operators["QUERY_PARAM"] = operator{argument: true, make: queryParam}
	operators["QUERY_PARAMS"] = operator{argument: true, make: queryParams}
}

// fieldOf makes %REQ(X?Y)% and the like: X, or else Y; bare cuts off a query.
func fieldOf(look func(name string, w *wanted) field, bare bool) func(string) (piece, wanted, error) {
	return func(argument string) (piece, wanted, error) {
		var w wanted
		main, other, alternative := strings.Cut(strings.ToLower(argument), "?")
		if main == "" || alternative && other == "" || strings.ContainsAny(argument, " \t\r\n") {
			return piece{}, w, errors.New("name a header, or a header, ? and another one to take where that is missing: X-ENVOY-ORIGINAL-PATH?:PATH")
		}
		first := look(main, &w)
		second := field(func(dst []byte, _ *proxy.Exchange) ([]byte, bool) { return dst, false })
		if alternative {
			second = look(other, &w)
		}
		return piece{get: func(dst []byte, s source) ([]byte, bool) {
			if s.ex == nil {
				return dst, false
			}
			at := len(dst)
			dst, ok := first(dst, s.ex)
			if !ok {
				dst, ok = second(dst, s.ex)
			}
			if bare {
				dst = cutQuery(dst, at)
			}
			return dst, ok
		}}, w, nil
	}
}

// request makes %REQ(X?Y)% where both are at hand, and leaves the others to make.
func request(make func(string) (piece, wanted, error)) func(string) (piece, wanted, error) {
	return func(argument string) (piece, wanted, error) {
		main, other, alternative := strings.Cut(strings.ToLower(argument), "?")
		first, second := atHand[main], atHand[other]
		switch {
		case first == nil || alternative && second == nil:
			return make(argument)
		case !alternative:
			return piece{text: func(s source) string {
				if s.ex == nil {
					return ""
				}
				return first(s.ex)
			}}, wanted{}, nil
		}
		return piece{text: func(s source) string {
			if s.ex == nil {
				return ""
			}
			if v := first(s.ex); v != "" {
				return v
			}
			return second(s.ex)
		}}, wanted{}, nil
	}
}

// cutQuery cuts what follows a question mark in line from at on.
func cutQuery(line []byte, at int) []byte {
	for i := at; i < len(line); i++ {
		if line[i] == '?' {
			return line[:i]
		}
	}
	return line
}

// atHand are the headers of a request that are not among its fields.
var atHand = map[string]func(ex *proxy.Exchange) string{
	":method":    func(ex *proxy.Exchange) string { return ex.Request.Method },
	":path":      func(ex *proxy.Exchange) string { return ex.Request.Path },
	":authority": func(ex *proxy.Exchange) string { return ex.Request.Authority },
	"host":       func(ex *proxy.Exchange) string { return ex.Request.Authority },
	":scheme":    func(ex *proxy.Exchange) string { return ex.Request.Scheme },
	// Envoy adds these two to what it has rewritten.
	"x-envoy-original-path": func(ex *proxy.Exchange) string { return rewritten(ex.Request.Path, ex.UpstreamPath) },
	"x-envoy-original-host": func(ex *proxy.Exchange) string { return rewritten(ex.Request.Authority, ex.UpstreamAuthority) },
	"x-request-id":          func(ex *proxy.Exchange) string { return ex.RequestID },
}

// requestField returns what appends a header of the request as the client sent it.
func requestField(name string, _ *wanted) field {
	get := atHand[name]
	if get == nil {
		return func(dst []byte, ex *proxy.Exchange) ([]byte, bool) {
			return appendFields(dst, ex.Request.Headers, name)
		}
	}
	return func(dst []byte, ex *proxy.Exchange) ([]byte, bool) {
		v := get(ex)
		return append(dst, v...), v != ""
	}
}

// rewritten returns what a client asked for where the upstream was asked for something else.
func rewritten(asked, upstream string) string {
	if upstream == "" || upstream == asked {
		return ""
	}
	return asked
}

// responseField returns what appends a header of the response.
func responseField(name string, w *wanted) field {
	switch name {
	case ":status":
		return func(dst []byte, ex *proxy.Exchange) ([]byte, bool) {
			return strconv.AppendInt(dst, int64(ex.Status), 10), ex.Status != 0
		}
	case "x-envoy-upstream-service-time":
		return func(dst []byte, ex *proxy.Exchange) ([]byte, bool) {
			if ex.ResponseServiceTime < 0 {
				return dst, false
			}
			return strconv.AppendInt(dst, ex.ResponseServiceTime, 10), true
		}
	}
	w.add(wanted{headers: []string{name}})
	return func(dst []byte, ex *proxy.Exchange) ([]byte, bool) {
		return appendFields(dst, ex.ResponseHeaders, name)
	}
}

func trailerField(name string, w *wanted) field {
	w.add(wanted{trailers: []string{name}})
	return func(dst []byte, ex *proxy.Exchange) ([]byte, bool) {
		return appendFields(dst, ex.ResponseTrailers, name)
	}
}

// appendFields appends all values of a header, joined by commas.
func appendFields(dst []byte, fields []router.Header, name string) (value []byte, ok bool) {
	for i := range fields {
		if fields[i].Name != name {
			continue
		}
		if ok {
			dst = append(dst, ',')
		}
		dst, ok = append(dst, fields[i].Value...), true
	}
	return dst, ok
}

// path makes %PATH(X:Y)%: with or without its query, as it was asked for or as it was sent on.
func path(argument string) (piece, wanted, error) {
	with, from, _ := strings.Cut(argument, ":")
	var bare, original bool
	switch with {
	case "", "WQ":
	case "NQ":
		bare = true
	default:
		return piece{}, wanted{}, errors.New("the first argument is WQ (with query) or NQ (no query)")
	}
	switch from {
	case "", "ORIG_OR_PATH", "PATH":
	case "ORIG":
		original = true
	default:
		return piece{}, wanted{}, errors.New("the second argument is ORIG, PATH or ORIG_OR_PATH")
	}
	return piece{get: func(dst []byte, s source) ([]byte, bool) {
		if s.ex == nil {
			return dst, false
		}
		v := s.ex.Request.Path
		if original {
			v = rewritten(v, s.ex.UpstreamPath)
		}
		at := len(dst)
		if dst = append(dst, v...); bare {
			dst = cutQuery(dst, at)
		}
		return dst, true
	}}, wanted{}, nil
}

// query returns the query of the request.
func query(s source) string {
	if s.ex == nil {
		return ""
	}
	_, q, _ := strings.Cut(s.ex.Request.Path, "?")
	q, _, _ = strings.Cut(q, "#")
	return q
}

// queryParam makes %QUERY_PARAM(X)%: the first value of a parameter, as it was sent.
func queryParam(name string) (piece, wanted, error) {
	if name == "" {
		return piece{}, wanted{}, errors.New("name the parameter, such as %QUERY_PARAM(user)%")
	}
	return piece{get: func(dst []byte, s source) ([]byte, bool) {
		for q := query(s); q != ""; {
			var one string
			one, q, _ = strings.Cut(q, "&")
			if key, v, _ := strings.Cut(one, "="); key == name {
				return append(dst, v...), true
			}
		}
		return dst, false
	}}, wanted{}, nil
}

// queryParams makes %QUERY_PARAMS(X)%.
func queryParams(argument string) (piece, wanted, error) {
	switch argument {
	case "", "ORIG":
		return piece{get: func(dst []byte, s source) ([]byte, bool) { return append(dst, query(s)...), true }}, wanted{}, nil
	case "DECODED":
		return piece{get: func(dst []byte, s source) ([]byte, bool) { return appendDecoded(dst, query(s)), true }}, wanted{}, nil
	}
	return piece{}, wanted{}, errors.New("the argument is ORIG or DECODED")
}

// appendDecoded appends a query with its percent escapes undone; it stays as it is where one
// is none.
func appendDecoded(dst []byte, q string) []byte {
	if strings.IndexByte(q, '%') >= 0 {
		if plain, err := url.QueryUnescape(q); err == nil {
			return append(dst, plain...)
		}
	}
	return append(dst, q...)
}
