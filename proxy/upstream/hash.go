package upstream

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicegate/sluice/router"
)

// maxHashValues bounds the values of one header that make a hash.
const maxHashValues = 16

// HashString returns the hash that consistent hashing has for a string: xxHash64, as Envoy's.
func HashString(s string) uint64 { return xxhash.Sum64String(s) }

func seeded(seed uint64, s string) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	d.WriteString(s)
	return d.Sum64()
}

// RequestHash returns the hash that a policy makes of a request; ok is false where the
// request has not what the policy looks at. client is the address of the caller that the
// proxy believes in. A cookie that is there but empty counts as missing. It allocates
// nothing.
func RequestHash(p *router.HashPolicy, r *router.Request, client netip.Addr) (hash uint64, ok bool) {
	switch p.Kind {
	case router.HashHeader:
		return hashHeader(r, p.Name)
	case router.HashCookie:
		value := cookie(r.Headers, p.Name)
		return HashString(value), value != ""
	case router.HashSourceIP:
		if !client.IsValid() {
			return 0, false
		}
		var buffer [64]byte
		return xxhash.Sum64(client.Unmap().WithZone("").AppendTo(buffer[:0])), true
	case router.HashQuery:
		value, found := parameter(r.Path, p.Name)
		return HashString(value), found
	}
	return 0, false
}

// hashHeader hashes a header's values, in whatever order they come.
func hashHeader(r *router.Request, name string) (uint64, bool) {
	switch name {
	case ":authority", "host":
		return HashString(r.Authority), true
	case ":path":
		return HashString(r.Path), true
	case ":method":
		return HashString(r.Method), true
	case ":scheme":
		return HashString(r.Scheme), true
	}
	var values [maxHashValues]string
	n := 0
	for i := range r.Headers {
		if r.Headers[i].Name == name && n < len(values) {
			values[n] = r.Headers[i].Value
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	slices.Sort(values[:n])
	hash := HashString(values[0])
	for _, v := range values[1:n] {
		hash = seeded(hash, v)
	}
	return hash, true
}

// cookie returns the value of the first cookie of that name, without quotes; "" where
// there is none (RFC 6265 section 4.2.1).
func cookie(headers []router.Header, name string) string {
	for i := range headers {
		if headers[i].Name != "cookie" {
			continue
		}
		for rest := headers[i].Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			key, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !found || key != name {
				continue
			}
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return value
		}
	}
	return ""
}

// parameter returns the value of the first query parameter of that name, as it stands
// there.
func parameter(path, name string) (value string, found bool) {
	_, query, _ := strings.Cut(path, "?")
	query, _, _ = strings.Cut(query, "#")
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, v, _ := strings.Cut(pair, "="); key == name {
			return v, true
		}
	}
	return "", false
}

// AppendHashCookie appends the value of a set-cookie header that issues a policy's cookie,
// for a policy with IssueCookie and a request without a hash. random is what the cookie
// says; it decides where this request and those that bring the cookie back go. hash is
// theirs.
func AppendHashCookie(dst []byte, p *router.HashPolicy, random uint64) (setCookie []byte, hash uint64) {
	var digits [16]byte
	value := digits[:]
	for i := range value {
		value[i] = "0123456789abcdef"[random>>(60-4*i)&15]
	}
	dst = append(append(append(dst, p.Name...), `="`...), value...)
	dst = append(dst, '"')
	if p.TTL > 0 {
		dst = strconv.AppendInt(append(dst, "; Max-Age="...), int64(p.TTL/time.Second), 10)
	}
	if p.Path != "" {
		dst = append(append(dst, "; Path="...), p.Path...)
	}
	for _, a := range p.Attributes {
		dst = append(append(dst, "; "...), a.Name...)
		if a.Value != "" {
			dst = append(append(dst, '='), a.Value...)
		}
	}
	return append(dst, "; HttpOnly"...), xxhash.Sum64(value)
}
