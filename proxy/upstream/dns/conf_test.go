package dns

import "testing"

// TestServers: what names a server of DNS, with a port or without.
func TestServers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:0", "[127.0.0.1]:5353": "127.0.0.1:5353", "[::1]:53": "[::1]:53", "fe80::1%eth0": "[fe80::1%eth0]:0",
		"127.0.0.1:5353": "", "[127.0.0.1]": "", "127.0.0.1]:53": "", "[127.0.0.1]:0": "", "[127.0.0.1]:65536": "", "[dns]:53": "", "]:1": "",
	} {
		got := ""
		if server, ok := parseServer(text); ok {
			got = server.String()
		}
		if got != want {
			t.Errorf("nameserver %s: %q, want %q", text, got, want)
		}
	}
}
