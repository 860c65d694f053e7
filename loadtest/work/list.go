package work

import "slices"

const (
	kilobyte = 1 << 10
	megabyte = 1 << 20
)

var (
	atRate     = []Figure{CPU, Latency, Memory}
	everything = []Figure{CPU, Latency, Saturation, Memory, SystemCalls}
	whole      = Site{Hosts: 1, RoutesPerHost: 1, Metrics: true}
)

// with returns a Site that differs from the usual one.
func with(change func(*Site)) Site {
	s := whole
	change(&s)
	return s
}

// All are the works, in the order of tables.
func All() []Work {
	return slices.Concat(plain(), encrypted(), multiplexed(), streams(), routing(), telling(), standing())
}

// half is a work at half of what nginx bears: busier than at a rate that everybody bears, and not
// yet so busy that nobody waits.
func half(w Work) Work {
	w.Name, w.Title, w.HalfOf = w.Name+"-half", "the same at half of nginx's saturation", "nginx"
	w.Figures, w.Smoke = []Figure{CPU, Latency}, false
	return w
}

// plain are those of HTTP/1.1 without TLS.
func plain() []Work {
	small := Work{Name: "http1-1k", Title: "HTTP/1.1 keep-alive, 1 KB", Protocol: HTTP1, Connections: 64, Rate: 8000, Site: with(func(s *Site) { s.Body = kilobyte }), Figures: everything, Smoke: true, Relay: true}
	return []Work{
		small,
		half(small),
		{Name: "http1-1k-two-cores", Title: "the same on two cores, not pinned", Protocol: HTTP1, Connections: 64, Rate: 8000, Cores: 2, Site: with(func(s *Site) { s.Body = kilobyte }), Figures: atRate},
		{Name: "http1-64k", Title: "HTTP/1.1 keep-alive, 64 KB", Protocol: HTTP1, Connections: 64, Rate: 3000, Site: with(func(s *Site) { s.Body = 64 * kilobyte }), Figures: everything},
		{Name: "http1-10m", Title: "HTTP/1.1 keep-alive, 10 MB", Protocol: HTTP1, Connections: 8, Rate: 40, Site: with(func(s *Site) { s.Body = 10 * megabyte }), Figures: atRate},
		{Name: "http1-post", Title: "HTTP/1.1, POST of 16 KB", Protocol: HTTP1, Connections: 64, Rate: 4000, Upload: 16 * kilobyte, Site: with(func(s *Site) { s.Body = 100 }), Figures: atRate},
		{Name: "http1-close", Title: "HTTP/1.1, a connection for each request", Protocol: HTTP1Close, Connections: 32, Rate: 3000, Site: with(func(s *Site) { s.Body = kilobyte }), Figures: atRate},
	}
}

// encrypted are those of HTTP/1.1 inside TLS.
func encrypted() []Work {
	site := func(body int) Site { return with(func(s *Site) { s.TLS, s.Body = true, body }) }
	small := Work{Name: "tls-1k", Title: "TLS keep-alive, 1 KB", Protocol: HTTPS, Connections: 64, Rate: 6000, Site: site(kilobyte), Figures: everything, Smoke: true}
	return []Work{
		small,
		half(small),
		{Name: "tls-10m", Title: "TLS keep-alive, 10 MB", Protocol: HTTPS, Connections: 8, Rate: 20, Site: site(10 * megabyte), Figures: atRate},
		{Name: "tls-handshake", Title: "TLS 1.3, full handshakes, P-256", Protocol: Handshake, Connections: 16, Rate: 400, Site: site(100), Figures: []Figure{CPU}},
		{Name: "tls-resumption", Title: "TLS 1.3, resumed handshakes", Protocol: Resumption, Connections: 16, Rate: 400, Site: site(100), Figures: []Figure{CPU}},
	}
}

// multiplexed are those of HTTP/2.
func multiplexed() []Work {
	grpc := with(func(s *Site) { s.TLS, s.HTTP2, s.Upstream, s.Body = true, true, UpstreamGRPC, 100 })
	return []Work{
		{Name: "http2-32", Title: "HTTP/2 over TLS, 32 streams, 1 KB", Protocol: HTTP2, Connections: 8, Streams: 32, Rate: 8000, Site: with(func(s *Site) { s.TLS, s.HTTP2, s.Body = true, true, kilobyte }), Figures: everything},
		{Name: "grpc-unary", Title: "gRPC, unary calls", Protocol: GRPCUnary, Connections: 8, Streams: 16, Rate: 4000, Site: grpc, Figures: atRate},
		{Name: "grpc-stream", Title: "gRPC, messages in streams", Protocol: GRPCStream, Connections: 8, Streams: 4, Rate: 8000, Site: grpc, Figures: atRate},
	}
}

// streams are those of connections that carry what they like.
func streams() []Work {
	return []Work{
		{Name: "websocket", Title: "WebSocket, messages of 100 bytes", Protocol: WebSocket, Connections: 64, Rate: 8000, Site: with(func(s *Site) { s.Upgrades, s.Body = true, 100 }), Figures: atRate},
		{Name: "tcp", Title: "TCP, messages of 100 bytes", Protocol: TCP, Connections: 64, Rate: 8000, Site: with(func(s *Site) { s.Upstream, s.Body = UpstreamTCP, 100 }), Figures: atRate, Peers: []string{"sluice", "nginx", "haproxy", "traefik", "envoy"}},
	}
}

// routing are those that have much to choose from.
func routing() []Work {
	site := func(change func(*Site)) Site {
		return with(func(s *Site) {
			s.Body = kilobyte
			change(s)
		})
	}
	loading := []Figure{Load, Change, Memory}
	return []Work{
		{Name: "hosts-10k", Title: "10,000 hosts of 3 routes", Protocol: HTTP1, Connections: 64, Rate: 8000, Site: site(func(s *Site) { s.Hosts, s.RoutesPerHost = 10000, 3 }), Figures: atRate},
		{Name: "routes-1000", Title: "1,000 prefixes and 100 expressions on one host", Protocol: HTTP1, Connections: 64, Rate: 8000, Site: site(func(s *Site) { s.Prefixes, s.Regexes = 1000, 100 }), Figures: atRate},
		{Name: "weights", Title: "three weighted subsets", Protocol: HTTP1, Connections: 64, Rate: 8000, Site: site(func(s *Site) { s.Weights = []int{70, 20, 10} }), Figures: atRate},
		{Name: "load-100", Title: "a configuration of 100 routes", Protocol: HTTP1, Site: site(func(s *Site) { s.Hosts = 100 }), Figures: loading},
		{Name: "load-10k", Title: "a configuration of 10,000 routes", Protocol: HTTP1, Site: site(func(s *Site) { s.Hosts = 10000 }), Figures: loading},
		{Name: "load-100k", Title: "a configuration of 100,000 routes", Protocol: HTTP1, Site: site(func(s *Site) { s.Hosts = 100000 }), Figures: loading, Peers: []string{"sluice", "nginx", "haproxy"}},
	}
}

// telling are those that differ in what is told of requests.
func telling() []Work {
	site := func(log, metrics bool) Site {
		return with(func(s *Site) { s.Body, s.AccessLog, s.Metrics = kilobyte, log, metrics })
	}
	log := Work{Name: "access-log", Title: "HTTP/1.1 keep-alive, 1 KB, access log to a file", Protocol: HTTP1, Connections: 64, Rate: 8000, Site: site(true, true), Figures: everything, Smoke: true}
	return []Work{
		log,
		half(log),
		{Name: "quiet", Title: "HTTP/1.1 keep-alive, 1 KB, without log and metrics", Protocol: HTTP1, Connections: 64, Rate: 8000, Site: site(false, false), Figures: []Figure{CPU, Saturation}},
	}
}

// standing are those in which nothing much happens, and the pair of sidecars.
func standing() []Work {
	return []Work{
		{Name: "idle-10k", Title: "10,000 idle connections", Protocol: HTTP1, Idle: 10000, Site: with(func(s *Site) { s.Body = 100 }), Figures: []Figure{Memory}},
		{Name: "sidecars", Title: "two sidecars between client and server, 1 KB", Protocol: HTTP1, Connections: 32, Rate: 3000, Cores: 2, Site: with(func(s *Site) { s.Body, s.Sidecars = kilobyte, true }), Figures: []Figure{Latency, CPU, Memory}, Peers: []string{"sluice", Direct}},
	}
}

// Named returns the works of these names, each once, or all where there are none; unknown lists names
// that no work has.
func Named(names []string) (works []Work, unknown []string) {
	all := All()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(w Work) bool { return w.Name == name })
		if i < 0 {
			unknown = append(unknown, name)
			continue
		}
		if !slices.ContainsFunc(works, func(w Work) bool { return w.Name == name }) {
			works = append(works, all[i])
		}
	}
	return works, unknown
}

const (
	// Direct is the peer that is none: clients reach the backend itself, in works that say so.
	Direct = "direct"
	// Relay is the peer that does nothing but to pass on bytes, in works that say so: what it costs
	// is what no proxy can do without.
	Relay = "relay"
)

// Takes tells whether a peer can do the work.
func (w Work) Takes(peer string) bool {
	if peer == Relay {
		return w.Relay
	}
	return w.Peers == nil && peer != Direct || slices.Contains(w.Peers, peer)
}

// Has tells whether a figure is wanted.
func (w Work) Has(f Figure) bool { return slices.Contains(w.Figures, f) }
