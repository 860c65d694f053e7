package main

import (
	"fmt"
	"testing"
)

func TestParseProxyProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flags []string
		want  string
		bad   bool
	}{
		{nil, "map[]", false},
		{[]string{"10.0.0.0/8"}, "map[0:[10.0.0.0/8]]", false},
		{[]string{"10.1.2.3/8,192.0.2.7"}, "map[0:[10.0.0.0/8 192.0.2.7/32]]", false},
		{[]string{"443=fd00::/8", "443=::1", "10.0.0.0/8"}, "map[0:[10.0.0.0/8] 443:[fd00::/8 ::1/128]]", false},
		{[]string{"::ffff:10.0.0.1"}, "map[0:[10.0.0.1/32]]", false},
		{[]string{"0=10.0.0.0/8"}, "", true},
		{[]string{"http=10.0.0.0/8"}, "", true},
		{[]string{"443="}, "", true},
		{[]string{"10.0.0.0/33"}, "", true},
		{[]string{"somewhere"}, "", true},
	} {
		got, err := parseProxyProtocol(c.flags)
		if (err != nil) != c.bad || err == nil && fmt.Sprint(got) != c.want {
			t.Errorf("%q: got %v, %v; want %s", c.flags, got, err, c.want)
		}
	}
}
