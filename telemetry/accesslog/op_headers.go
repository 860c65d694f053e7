package accesslog

import (
	"errors"
	"net/url"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// lookup makes the piece of a header, and notes what it wants of responses.
type lookup func(name string, w *wanted) piece

// addHeaderOperators adds the operators that read headers and paths.
func addHeaderOperators() {
	for names, look := range map[string]lookup{
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
func fieldOf(look lookup, bare bool) func(string) (piece, wanted, error) {
	return func(argument string) (piece, wanted, error) {
		var w wanted
		main, other, alternative := strings.Cut(strings.ToLower(argument), "?")
		if main == "" || alternative && other == "" || strings.ContainsAny(argument, " \t\r\n") {
			return piece{}, w, errors.New("name a header, or a header, ? and another one to take where that is missing: X-ENVOY-ORIGINAL-PATH?:PATH")
		}
		first := look(main, &w)
		if !alternative && !bare {
			return first, w, nil
		}
		var second piece
		if alternative {
			second = look(other, &w)
		}
		return piece{get: func(dst []byte, s source) ([]byte, bool) {
			at := len(dst)
			dst, ok := first.present(dst, s)
			if !ok && alternative {
				dst, ok = second.present(dst, s)
			}
			if bare {
				dst = cutQuery(dst, at)
			}
			return dst, ok
		}}, w, nil
	}
}

// present appends a header; ok is false where there is none, and true for an empty one.
func (p *piece) present(dst []byte, s source) (value []byte, ok bool) {
	if p.get != nil {
		return p.get(dst, s)
	}
	return p.value(dst, s)
}

// request makes %REQ(X?Y)% where both are at hand, and leaves the others to make.
func request(make func(string) (piece, wanted, error)) func(string) (piece, wanted, error) {
	return func(argument string) (piece, wanted, error) {
		main, other, alternative := strings.Cut(strings.ToLower(argument), "?")
		first, second := atHand[main], atHand[other]
		switch {
		case main == "x-envoy-original-path" && other == ":path", main == "x-envoy-original-host" && requestFacts[other] == factAuthority:
			return make(other) // what was asked for is it whether or not it was rewritten
		case !alternative || first == nil || second == nil:
			return make(argument)
		}
		return ofRequest(func(ex *proxy.Exchange) string {
			if v := first(ex); v != "" {
				return v
			}
			return second(ex)
		}), wanted{}, nil
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

// requestFacts are those of atHand that are facts.
var requestFacts = map[string]fact{
	":method": factMethod, ":path": factPath, ":authority": factAuthority, "host": factAuthority, "x-request-id": factRequestID,
}

// requestField makes the piece of a header of the request as the client sent it.
func requestField(name string, _ *wanted) piece {
	if f := requestFacts[name]; f != noFact {
		return piece{fact: f}
	}
	if get := atHand[name]; get != nil {
		return ofRequest(get)
	}
	return listed(name, func(ex *proxy.Exchange) []router.Header { return ex.Request.Headers })
}

// rewritten returns what a client asked for where the upstream was asked for something else.
func rewritten(asked, upstream string) string {
	if upstream == "" || upstream == asked {
		return ""
	}
	return asked
}

// responseField makes the piece of a header of the response.
func responseField(name string, w *wanted) piece {
	switch name {
	case ":status":
		return piece{safe: true, count: func(s source) int64 {
			if s.ex == nil || s.ex.Status == 0 {
				return -1
			}
			return int64(s.ex.Status)
		}}
	case "x-envoy-upstream-service-time":
		return piece{safe: true, fact: factServiceTime}
	}
	w.add(wanted{headers: []string{name}})
	return listed(name, func(ex *proxy.Exchange) []router.Header { return ex.ResponseHeaders })
}

func trailerField(name string, w *wanted) piece {
	w.add(wanted{trailers: []string{name}})
	return listed(name, func(ex *proxy.Exchange) []router.Header { return ex.ResponseTrailers })
}

// listed makes the piece of a header among others: its value, or its values joined by commas.
func listed(name string, of func(ex *proxy.Exchange) []router.Header) piece {
	return piece{
		text: func(s source) string {
			if s.ex == nil {
				return ""
			}
			return single(of(s.ex), name)
		},
		get: func(dst []byte, s source) ([]byte, bool) {
			if s.ex == nil {
				return dst, false
			}
			return appendFields(dst, of(s.ex), name)
		},
	}
}

// single returns the value of a header that is there once, else "".
func single(fields []router.Header, name string) (value string) {
	found := false
	for i := range fields {
		if fields[i].Name != name {
			continue
		}
		if found {
			return ""
		}
		value, found = fields[i].Value, true
	}
	return value
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
