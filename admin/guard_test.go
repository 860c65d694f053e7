package admin

import (
	"net"
	"path/filepath"
	"testing"
)

// TestWebPagesAreKeptOut: only who is on the machine, and no web page, is answered.
func TestWebPagesAreKeptOut(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.AllowedHosts = []string{"gateway.internal"}
	h := NewHandler(o)
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"curl":                        {[]string{"Host", "127.0.0.1:15000"}, 200},
		"localhost":                   {[]string{"Host", "localhost:15000"}, 200},
		"localhost in capitals":       {[]string{"Host", "LOCALHOST."}, 200},
		"IPv6":                        {[]string{"Host", "[::1]:15000"}, 200},
		"a tunnel":                    {[]string{"Host", "10.0.0.7:15000"}, 200},
		"a name that was allowed":     {[]string{"Host", "Gateway.internal:15000"}, 200},
		"DNS rebinding":               {[]string{"Host", "attacker.example:15000"}, 403},
		"rebinding like localhost":    {[]string{"Host", "localhost.attacker.example"}, 403},
		"rebinding like an address":   {[]string{"Host", "127.0.0.1.attacker.example"}, 403},
		"no Host":                     {[]string{"Host", ""}, 403},
		"our page's script":           {[]string{"Host", "localhost:15000", "Origin", "http://localhost:15000"}, 200},
		"another page's script":       {[]string{"Origin", "https://attacker.example"}, 403},
		"another port's script":       {[]string{"Origin", "http://127.0.0.1:3000"}, 403},
		"a sandboxed page":            {[]string{"Origin", "null"}, 403},
		"another page's image":        {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		"another page's frame":        {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"a link in another page":      {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		"typed into the address line": {[]string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w := ask(h, "GET", "/config_dump", "", c.headers...); w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
		})
	}
	link := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	if w := ask(h, "POST", "/explain", `{"url":"a"}`, link...); w.Code != 403 {
		t.Errorf("another page's form: status %d", w.Code)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"127.0.0.1:0":                    false,
		"localhost:0":                    false,
		"0.0.0.0:0":                      true,
		":0":                             true,
		"[::]:0":                         true,
		"192.0.2.1:0":                    true,
		"nonsense":                       true,
		"unix://" + t.TempDir() + "/adm": false,
	} {
		l, err := Listen(address, false)
		if (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			l.Close()
		}
	}
	l, err := Listen("0.0.0.0:0", true)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestStaleSocket: the socket that a killed process left in the file system does not keep the next
// one from starting; one at which somebody answers does.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin")
	l, err := Listen("unix://"+path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix://"+path, false); err == nil {
		t.Error("the socket of a living process was taken")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = Listen("unix://"+path, false); err != nil {
		t.Fatal(err)
	}
	l.Close()
}
