package dns

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// secondFamily is how long an answer with IPv4 addresses waits for the IPv6 ones. Some
// servers never answer that question.
const secondFamily = 500 * time.Millisecond

// Answer is what a name stands for.
type Answer struct {
	// Addrs are the addresses in the order of the records, IPv4 ones first. There is at
	// least one.
	Addrs []netip.Addr
	// TTL is for how long they hold: the least of the records' on the way to them; 0 where
	// they come from the hosts file, which may change any time.
	TTL time.Duration
	// Partial tells that the question for IPv4 addresses came to nothing, so that there may
	// be some.
	Partial bool
}

// Options are those of a Resolver. The zero value is for the system's.
type Options struct {
	// Conf and Hosts are files: "/etc/resolv.conf" and "/etc/hosts" by default. They are
	// read again when they have changed.
	Conf, Hosts string
	// Port is the servers' of which Conf says none; 0 means 53.
	Port uint16
}

// Resolver asks the servers that resolv.conf names. It is safe for concurrent use.
type Resolver struct {
	conf  *watched[*conf]
	hosts *watched[hosts]
	port  uint16
	// second is secondFamily, but for tests.
	second time.Duration
}

// New returns a Resolver.
func New(o Options) *Resolver {
	if o.Conf == "" {
		o.Conf = "/etc/resolv.conf"
	}
	if o.Hosts == "" {
		o.Hosts = "/etc/hosts"
	}
	if o.Port == 0 {
		o.Port = 53
	}
	return &Resolver{conf: watch(o.Conf, parseConf), hosts: watch(o.Hosts, parseHosts), port: o.Port, second: secondFamily}
}

// Lookup returns the addresses of a name: those of the hosts file, else those that the
// servers tell, for the name itself and for it under each search domain, as resolv.conf's
// ndots orders them. The error is an [*Error].
func (r *Resolver) Lookup(ctx context.Context, name string) (Answer, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return Answer{Addrs: []netip.Addr{ip}}, nil
	}
	name = strings.ToLower(name)
	if addrs := r.hosts.get().lookup(name); len(addrs) > 0 {
		return Answer{Addrs: addrs}, nil
	}
	c := r.conf.get()
	failure := &Error{Name: name, Cause: "this cannot be a name", NotFound: true}
	for _, full := range c.names(name) {
		asked, err := dnsmessage.NewName(full)
		if err != nil || !valid(full) {
			continue
		}
		answer, err := r.both(ctx, c, asked)
		if err == nil {
			return answer, nil
		}
		// That a name could not be asked for says more than that another does not exist.
		var told *Error
		if errors.As(err, &told) && (failure.NotFound || !told.NotFound) {
			failure = told
			failure.Name = name
		}
		if ctx.Err() != nil {
			break
		}
	}
	return Answer{}, failure
}

// both asks for the addresses of both families at once.
func (r *Resolver) both(ctx context.Context, c *conf, name dnsmessage.Name) (Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := func(t dnsmessage.Type) <-chan reply {
		got := make(chan reply, 1)
		go func() { got <- r.ask(ctx, c, dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET}) }()
		return got
	}
	four, six := ask(dnsmessage.TypeA), ask(dnsmessage.TypeAAAA)
	v4 := <-four
	var v6 reply
	if v4.err == nil {
		late := time.NewTimer(r.second)
		defer late.Stop()
		select {
		case v6 = <-six:
		case <-late.C:
			cancel()
			v6 = <-six
		}
	} else {
		v6 = <-six
	}
	switch {
	case v4.err == nil && v6.err == nil:
		return Answer{Addrs: append(v4.addrs, v6.addrs...), TTL: min(v4.ttl, v6.ttl)}, nil
	case v4.err == nil:
		return Answer{Addrs: v4.addrs, TTL: v4.ttl}, nil
	case v6.err == nil:
		return Answer{Addrs: v6.addrs, TTL: v6.ttl, Partial: !v4.err.NotFound}, nil
	case v4.err.NotFound && !v6.err.NotFound:
		return Answer{}, v6.err
	}
	return Answer{}, v4.err
}

// ask asks the servers in turn until one answers.
func (r *Resolver) ask(ctx context.Context, c *conf, q dnsmessage.Question) reply {
	var last reply
	first := c.first()
	for range c.attempts {
		for i := range c.servers {
			server := c.servers[(first+i)%len(c.servers)]
			if server.Port() == 0 {
				server = netip.AddrPortFrom(server.Addr(), r.port)
			}
			last = exchange(ctx, c, server, q)
			if last.err == nil || last.err.NotFound || ctx.Err() != nil {
				return last
			}
		}
	}
	return last
}

// valid tells whether a full name can be asked for: of letters, digits, hyphens and
// underscores, in labels of 1 to 63, 255 bytes on the wire.
func valid(full string) bool {
	if len(full) > 254 || !strings.HasSuffix(full, ".") {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(full, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}
