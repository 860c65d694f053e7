package validate

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// isHeaderName reports whether name is made of letters, digits, '-' and '_'.
func isHeaderName(name string) bool {
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && name[i] != '-' && name[i] != '_' {
			return false
		}
	}
	return name != ""
}

// headerName checks the name of a header to compare.
func (c *checker) headerName(at *config.Path, name string) {
	if !isHeaderName(name) {
		c.fail(BadHeader, at, "%q is not a header's name: use letters, digits, '-' and '_'", name)
	}
}

func isAuthorityHeader(name string) bool {
	return strings.EqualFold(name, ":authority") || strings.EqualFold(name, "host")
}

// headers checks changes of the headers of requests and responses.
func (c *checker) headers(at *config.Path, headers *networking.Headers) {
	if headers == nil {
		return
	}
	c.headerChanges(at.Field("request"), headers.Request, true)
	c.headerChanges(at.Field("response"), headers.Response, false)
}

// headerChanges checks changes of headers; the authority of a request may be set.
func (c *checker) headerChanges(at *config.Path, changes *networking.Headers_HeaderOperations, request bool) {
	if changes == nil {
		return
	}
	for _, change := range []struct {
		name   string
		values map[string]string
	}{{"set", changes.Set}, {"add", changes.Add}} {
		for _, name := range sortedKeys(change.values) {
			at := at.Field(change.name).Key(name)
			c.changedHeader(at, name, request)
			c.headerValue(at, change.values[name])
			if request && isAuthorityHeader(name) {
				c.target(at, change.values[name])
			}
		}
	}
	for i, name := range changes.Remove {
		c.changedHeader(at.Field("remove").Index(i), name, false)
	}
}

// changedHeader checks the name of a header to set, add or remove.
func (c *checker) changedHeader(at *config.Path, name string, mayBeAuthority bool) {
	switch {
	case name == "":
		c.fail(BadHeader, at, "a header needs a name")
	case mayBeAuthority && isAuthorityHeader(name):
	case strings.EqualFold(name, "host"):
		c.fail(BadHeader, at, "host can be set in requests only: use headers.request.set, or rewrite.authority")
	case strings.HasPrefix(name, ":"):
		c.fail(BadHeader, at, "%q is part of the request line and no header: use rewrite", name)
	case router.OfConnection(strings.ToLower(name)):
		c.warn(NoEffect, at, "%q belongs to the connection, for which the proxy speaks itself: remove it", name)
	case !isHeaderName(name):
		c.warn(BadHeader, at, "%q is not a name that HTTP allows for a header: use letters, digits, '-' and '_'", name)
	}
}

// headerValue checks a value, which may hold operators of Envoy's access log such as
// %REQ(x)%; "%%" stands for one percent sign.
func (c *checker) headerValue(at *config.Path, value string) {
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			c.fail(BadHeader, at, "the value has a control character (byte %d): remove it", i)
			return
		}
	}
	if problem := operatorProblem(value); problem != "" {
		c.fail(BadHeader, at, "%s: write %%%% for a percent sign, %%NAME%% or %%NAME(argument)%% for an operator", problem)
	}
}

// operatorProblem says what is wrong with the operators in a header's value: its
// grammar is Envoy's
// (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers).
func operatorProblem(value string) string {
	for {
		start := strings.IndexByte(value, '%')
		if start < 0 {
			return ""
		}
		value = value[start+1:]
		if strings.HasPrefix(value, "%") {
			value = value[1:]
			continue
		}
		end := strings.IndexAny(value, "%(")
		if end < 0 {
			return "a percent sign opens an operator that nothing closes"
		}
		if value[end] == '%' {
			value = value[end+1:]
			continue
		}
		rest, problem := operatorArguments(value[end+1:])
		if problem != "" {
			return problem
		}
		rest = strings.TrimLeft(rest, " ")
		if !strings.HasPrefix(rest, "%") {
			return "an operator's arguments must be followed by a percent sign"
		}
		value = rest[1:]
	}
}

// operatorArguments returns what follows the arguments at the start of s: a list of
// strings in double quotes, or a bare word, and ")".
func operatorArguments(s string) (rest, problem string) {
	s = strings.TrimLeft(s, " ")
	switch {
	case s == "":
		return "", "an operator's arguments lack their \")\""
	case s[0] != '[':
		s = s[1:] // the first character is part of the word, whatever it is
	default:
		if s, problem = openingQuote(s[1:]); problem != "" {
			return "", problem
		}
	}
	for {
		var end byte
		if s, end = argumentEnd(s); end == ')' {
			return s, ""
		} else if end == 0 {
			return "", "an operator's arguments lack their \")\""
		}
		s = strings.TrimLeft(s, " ")
		switch {
		case strings.HasPrefix(s, ","):
			if s, problem = openingQuote(s[1:]); problem != "" {
				return "", problem
			}
		case strings.HasPrefix(s, "]"):
			s = strings.TrimLeft(s[1:], " ")
			if !strings.HasPrefix(s, ")") {
				return "", "an operator's arguments lack their \")\""
			}
			return s[1:], ""
		default:
			return "", "an operator's arguments must be separated by commas"
		}
	}
}

// openingQuote returns what follows the quote that must come next.
func openingQuote(s string) (rest, problem string) {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, `"`) {
		return "", "an operator's arguments must be strings in double quotes"
	}
	return s[1:], ""
}

// argumentEnd returns the first quote or ")" of s that no backslash escapes, and what
// follows it; 0 where there is none.
func argumentEnd(s string) (rest string, end byte) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', ')':
			return s[i+1:], s[i]
		}
	}
	return "", 0
}
