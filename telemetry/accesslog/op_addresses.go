package accesslog

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// addAddressOperators adds the operators for both ends of both connections: each as an address
// with its port, without it, and the port alone.
func addAddressOperators() {
	for prefix, of := range map[string]func(s source) netip.AddrPort{
		"DOWNSTREAM_REMOTE":        source.remote,
		"DOWNSTREAM_DIRECT_REMOTE": source.direct,
		"DOWNSTREAM_LOCAL":         source.local,
		"DOWNSTREAM_DIRECT_LOCAL":  source.local,
	} {
		operators[prefix+"_ADDRESS"] = plain(piece{safe: true, get: func(dst []byte, s source) ([]byte, bool) { return appendAddress(dst, of(s)) }})
		operators[prefix+"_ADDRESS_WITHOUT_PORT"] = operator{argument: true, make: masked(of)}
		operators[prefix+"_PORT"] = number(func(s source) int64 { return port(of(s)) })
	}
	operators["UPSTREAM_REMOTE_ADDRESS"] = text(source.upstreamHost)
	operators["UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"] = operator{argument: true, make: masked(func(s source) netip.AddrPort { return parseAddress(s.upstreamHost()) })}
	operators["UPSTREAM_REMOTE_PORT"] = number(func(s source) int64 { return port(parseAddress(s.upstreamHost())) })
	operators["UPSTREAM_LOCAL_ADDRESS"] = plain(piece{
		fact: factUpstreamLocal,
		get: func(dst []byte, s source) ([]byte, bool) {
			if s.ex != nil {
				return dst, false
			}
			return appendAddress(dst, s.st.UpstreamLocal)
		},
	})
	operators["UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"] = operator{argument: true, make: masked(upstreamLocal)}
	operators["UPSTREAM_LOCAL_PORT"] = number(func(s source) int64 { return port(upstreamLocal(s)) })
}

func upstreamLocal(s source) netip.AddrPort {
	if s.ex != nil {
		return parseAddress(s.ex.UpstreamLocal)
	}
	return s.st.UpstreamLocal
}

// parseAddress returns the address that a text is, the zero one where it is none: the text of
// an endpoint may be a socket's path.
func parseAddress(s string) netip.AddrPort {
	if s == "" || s[0] != '[' && (s[0] < '0' || s[0] > '9') {
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}
	}
	return a
}

func appendAddress(dst []byte, a netip.AddrPort) ([]byte, bool) {
	if !a.IsValid() {
		return dst, false
	}
	host := a.Addr().Unmap()
	if !host.Is4() {
		return netip.AddrPortFrom(host, a.Port()).AppendTo(dst), true
	}
	n := len(dst)
	dst = slices.Grow(dst, len("255.255.255.255:"))
	dst = dst[:n+len("255.255.255.255:")]
	for _, b := range host.As4() {
		o := &octets[b]
		copy(dst[n:n+len(o.text)], o.text[:])
		n += int(o.size)
	}
	dst[n-1] = ':'
	return strconv.AppendUint(dst[:n], uint64(a.Port()), 10), true
}

// octet is a part of an IPv4 address, and the point behind it.
type octet struct {
	text [4]byte
	size uint8
}

// octets are all there are: nearly every line has several.
var octets = func() (all [256]octet) {
	for i := range all {
		all[i].size = uint8(copy(all[i].text[:], strconv.Itoa(i)+"."))
	}
	return all
}()

func port(a netip.AddrPort) int64 {
	if !a.IsValid() {
		return -1
	}
	return int64(a.Port())
}

// masked makes %..._ADDRESS_WITHOUT_PORT(N)%: the address, or the network of N bits that it is
// in.
func masked(of func(s source) netip.AddrPort) func(string) (piece, wanted, error) {
	return func(argument string) (piece, wanted, error) {
		bits := -1
		if argument != "" {
			n, err := strconv.ParseUint(argument, 10, 8)
			if err != nil || n > 128 {
				return piece{}, wanted{}, errors.New("the argument is the length of a network's prefix, 0 to 32 for IPv4, to 128 for IPv6")
			}
			bits = int(n)
		}
		return piece{safe: true, get: func(dst []byte, s source) ([]byte, bool) {
			a := of(s).Addr().Unmap()
			switch {
			case !a.IsValid():
				return dst, false
			case bits < 0:
				return a.AppendTo(dst), true
			case bits > a.BitLen():
				return dst, false
			}
			return netip.PrefixFrom(a.WithZone(""), bits).Masked().AppendTo(dst), true
		}}, wanted{}, nil
	}
}

// hostName is the name of the endpoint that was tried last, its address where it has none.
func hostName(s source) string {
	if e := s.endpoint(); e != nil && !strings.HasPrefix(e.Address, "unix:") {
		return e.Address
	}
	return s.upstreamHost()
}

// withoutPort cuts the port off a host.
func withoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host, '/') >= 0 {
		return host
	}
	return strings.Trim(host[:i], "[]")
}
