package dns

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The bounds of resolv.conf(5), and Kubernetes' of the search list.
const (
	maxServers  = 3
	maxSearch   = 32
	maxNdots    = 15
	maxTimeout  = 30
	maxAttempts = 5
)

// conf is what resolv.conf says.
type conf struct {
	// servers have port 0 where nothing is said of it.
	servers []netip.AddrPort
	// search are domains that end with a dot.
	search      []string
	ndots       int
	timeout     time.Duration
	attempts    int
	rotate, tcp bool
	turn        atomic.Uint32
}

// parseConf reads resolv.conf. What it does not understand it passes over, as the C
// library does.
func parseConf(text string) *conf {
	c := &conf{ndots: 1, timeout: 5 * time.Second, attempts: 2}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0][0] == '#' || f[0][0] == ';' {
			continue
		}
		switch f[0] {
		case "nameserver":
			if server, ok := parseServer(f[1]); ok && len(c.servers) < maxServers {
				c.servers = append(c.servers, server)
			}
		case "domain":
			c.search = domains(f[1:2])
		case "search":
			c.search = domains(f[1:])
		case "options":
			for _, option := range f[1:] {
				c.option(option)
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), netip.AddrPortFrom(netip.IPv6Loopback(), 0)}
	}
	if c.search == nil {
		if host, err := os.Hostname(); err == nil {
			if _, domain, ok := strings.Cut(host, "."); ok {
				c.search = domains([]string{domain})
			}
		}
	}
	return c
}

// parseServer reads a server's address, with a port as OpenBSD's resolv.conf(5) has it:
// "[127.0.0.1]:5353".
func parseServer(text string) (netip.AddrPort, bool) {
	address, port, with := strings.Cut(text, "]:")
	if !with {
		ip, err := netip.ParseAddr(text)
		return netip.AddrPortFrom(ip, 0), err == nil
	}
	ip, err := netip.ParseAddr(strings.TrimPrefix(address, "["))
	n, err2 := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(ip, uint16(n)), err == nil && err2 == nil && text[0] == '[' && n > 0
}

// domains returns those of a search list that can be asked under.
func domains(list []string) []string {
	kept := []string{}
	for _, d := range list {
		if d = strings.ToLower(strings.TrimSuffix(d, ".")) + "."; valid(d) && len(kept) < maxSearch {
			kept = append(kept, d)
		}
	}
	return kept
}

func (c *conf) option(o string) {
	name, value, _ := strings.Cut(o, ":")
	n, err := strconv.Atoi(value)
	known := err == nil && n >= 0
	switch {
	case name == "ndots" && known:
		c.ndots = min(n, maxNdots)
	case name == "timeout" && known:
		c.timeout = time.Duration(min(max(n, 1), maxTimeout)) * time.Second
	case name == "attempts" && known:
		c.attempts = min(max(n, 1), maxAttempts)
	case name == "rotate":
		c.rotate = true
	case name == "use-vc" || name == "usevc" || name == "tcp":
		c.tcp = true
	}
}

// names returns what a name may mean, in the order to ask: by itself and under the search
// domains, or the other way round where it has fewer than ndots dots.
func (c *conf) names(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	absolute := name + "."
	list := make([]string, 0, len(c.search)+1)
	early := strings.Count(name, ".") >= c.ndots
	if early {
		list = append(list, absolute)
	}
	for _, domain := range c.search {
		list = append(list, absolute+domain)
	}
	if !early {
		list = append(list, absolute)
	}
	return list
}

// first returns the server to begin with.
func (c *conf) first() int {
	if !c.rotate {
		return 0
	}
	return int(c.turn.Add(1)-1) % len(c.servers)
}
