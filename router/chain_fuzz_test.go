package router

import (
	"strings"
	"testing"
)

// FuzzServerName asks for chains by whatever clients may send as a server name.
func FuzzServerName(f *testing.F) {
	f.Add("shop.example.com", "*.example.com", "shop.example.com", false)
	f.Add("*", "[::1]", "::1", true)
	f.Add("*.com", "a.com.", "A.COM.:443", false)
	f.Add("x", "*.x", strings.Repeat("a.", 150)+"x", true)
	f.Add("*", "*.x", "a.x\r\nx-admin: 1", false)
	f.Add("*", "x", "\x00[\xff]", false)
	f.Fuzz(func(t *testing.T, first, second, serverName string, istio bool) {
		bytes := streamsOf("second", []string{second}, streamTo("c"))
		bytes.IstioALPN = true
		spec := chainsSpec(chainOf("first", first), bytes)
		table, _ := Build(spec, nil)
		var alpn []string
		if istio {
			alpn = []string{"istio"}
		}
		got := table.Chain("l", serverName, true, alpn)
		why := table.ExplainOn(&Connection{Listener: "l", TLS: true, ServerName: serverName, ALPN: alpn}, request("/"))
		if (got == nil) != (why.Connection.Chain == nil) || got != nil && got.Name != why.Connection.Chain.Name {
			t.Errorf("%q goes to %+v and is explained as %+v", serverName, got, why.Connection)
		}
		if got != nil && serverName != "" && len(serverName) <= maxHost && !strings.ContainsAny(serverName, ":[]") && !got.Takes(serverName) {
			t.Errorf("%q went to %v, which does not take it", serverName, got.ServerNames)
		}
		if other := table.Chain("l", strings.ToUpper(serverName), true, alpn); isASCII(serverName) && other != got {
			t.Errorf("%q depends on case", serverName)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 || r == '\uFFFD' })
}
