package peer

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

//go:embed config/*.tmpl
var configs embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"dict":  dict,
	"port":  func(addr string) string { _, p, _ := net.SplitHostPort(addr); return p },
	"ip":    func(addr string) string { h, _, _ := net.SplitHostPort(addr); return h },
	"base":  path.Base,
	"strip": func(prefix string) string { return strings.TrimSuffix(prefix, "/") },
}).ParseFS(configs, "config/*.tmpl"))

// dict makes one value of several for a template: names and values in turns.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// instance is a proxy for one site. Its exported fields are what templates see.
type instance struct {
	work.Site
	// Address is where it serves, Admin a free address for what it tells of itself.
	Address, Admin string
	// Dir is its folder, Log its access log.
	Dir, Log string
	Cores    int
	// Certificate and Key are PEM files, Both one with both.
	Certificate, Key, Both string
	// Inbound is where the server's sidecar listens, of two.
	Inbound string
	// Servers are the backends.
	Servers []server
	// Sites are the hosts with their routes.
	Sites []host
	// PrefixRoutes and RegexRoutes are further ones of the first host.
	PrefixRoutes []route
	RegexRoutes  []route

	proxy     *proxy
	options   Options
	binary    string
	version   string
	processes []*process
	// leaving are those that Reload has replaced.
	leaving []*process
	changes int

	serverAdmin string
}

type server struct {
	Name, Address string
	Weight        int
}

type host struct {
	Name   string
	Routes []route
}

// route leads what begins with Prefix, or matches Regex, to the path To.
type route struct{ Name, Prefix, Regex, To string }

func newInstance(p *proxy, site work.Site, o Options) (*instance, error) {
	if len(site.Backends) == 0 {
		return nil, errors.New("the site has no backends")
	}
	if len(site.Weights) > 0 && len(site.Weights) != len(site.Backends) {
		return nil, fmt.Errorf("%d weights for %d backends", len(site.Weights), len(site.Backends))
	}
	raiseFiles()
	site.Hosts, site.RoutesPerHost = max(site.Hosts, 1), max(site.RoutesPerHost, 1)
	in := &instance{Site: site, Dir: o.Dir, Log: filepath.Join(o.Dir, "log", "access.log"), Cores: max(o.Cores, 1), proxy: p, options: o}
	addrs := freeAddresses(2)
	in.Address, in.Admin = addrs[0], addrs[1]
	// A folder of its own, as logs have: the gateway watches those above its configuration.
	if err := os.MkdirAll(filepath.Dir(in.Log), 0o755); err != nil {
		return nil, err
	}
	var err error
	if in.binary, in.version, err = p.prepared(o.Cache); err != nil && o.Binary == "" {
		return nil, err
	}
	if o.Binary != "" {
		in.binary = o.Binary
	}
	if site.TLS {
		if err := in.certify(); err != nil {
			return nil, err
		}
	}
	in.lay()
	return in, nil
}

// lay lays out the routes.
func (in *instance) lay() {
	for i, addr := range in.Backends {
		weight := 1
		if len(in.Weights) > 0 {
			weight = in.Weights[i]
		}
		in.Servers = append(in.Servers, server{fmt.Sprintf("v%d", i+1), addr, weight})
	}
	in.Sites = make([]host, in.Hosts)
	for h := range in.Sites {
		routes := make([]route, in.RoutesPerHost)
		for r := range routes {
			routes[r] = route{Name: fmt.Sprintf("h%dr%d", h, r), Prefix: fmt.Sprintf("/r%d/", r), To: "/"}
		}
		in.Sites[h] = host{fmt.Sprintf("h%d.example.com", h), routes}
	}
	for i := range in.Prefixes {
		in.PrefixRoutes = append(in.PrefixRoutes, route{Name: fmt.Sprintf("p%d", i), Prefix: fmt.Sprintf("/p%d/", i), To: "/"})
	}
	for i := range in.Regexes {
		in.RegexRoutes = append(in.RegexRoutes, route{Name: fmt.Sprintf("x%d", i), Regex: fmt.Sprintf("^/x%d/[0-9]+$", i)})
	}
}

// last is the host and the route that changes.
func (in *instance) last() (*host, *route) {
	h := &in.Sites[len(in.Sites)-1]
	return h, &h.Routes[len(h.Routes)-1]
}

// change has the last route lead elsewhere.
func (in *instance) change() {
	in.changes++
	_, r := in.last()
	r.To = fmt.Sprintf("/g%d/", in.changes)
}

// Scheme is how clients address the proxy.
func (in *instance) Scheme() string {
	if in.TLS {
		return "https"
	}
	return "http"
}

// GRPC and TCP are what backends speak, where that is not HTTP/1.1.
func (in *instance) GRPC() bool { return in.Upstream == work.UpstreamGRPC }
func (in *instance) TCP() bool  { return in.Upstream == work.UpstreamTCP }

// Plain tells that there is one route.
func (in *instance) Plain() bool {
	return in.Hosts == 1 && in.RoutesPerHost == 1 && in.Prefixes+in.Regexes == 0
}

// Many tells that clients have more connections than a proxy is ready for by default.
func (in *instance) Many() bool { return in.options.Connections > 128 }

// write fills a template in and puts it in the place of a file, all at once.
func (in *instance) write(file, name string, data any) error {
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, name, data); err != nil {
		return err
	}
	whole := in.path(file)
	if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
		return err
	}
	// Beside its folder, so that nobody who watches that sees it half written.
	half := filepath.Join(in.Dir, ".new")
	if err := os.WriteFile(half, text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(half, whole)
}

// path is that of a file in the instance's folder.
func (in *instance) path(file string) string { return filepath.Join(in.Dir, file) }

// run starts a process of the proxy.
func (in *instance) run(binary string, env []string, args ...string) (*process, error) {
	p, err := startProcess(in.options.CPUs, in.Dir, env, binary, args)
	if err != nil {
		return nil, err
	}
	in.processes = append(in.processes, p)
	return p, nil
}

// gomaxprocs is the environment of proxies that are written in Go.
func (in *instance) gomaxprocs() []string { return []string{"GOMAXPROCS=" + strconv.Itoa(in.Cores)} }

// pids are those of the processes and their children.
func (in *instance) pids() (pids []int) {
	for _, p := range in.processes {
		pids = append(pids, p.pid())
		pids = append(pids, children(p.pid())...)
	}
	return pids
}

// settled returns the processes once those of an earlier configuration have gone.
func (in *instance) settled() []int {
	pids := in.pids()
	for deadline := time.Now().Add(5 * time.Second); len(pids) > 1+in.Cores && time.Now().Before(deadline); pids = in.pids() {
		time.Sleep(10 * time.Millisecond)
	}
	return pids
}

func (in *instance) stop() {
	for _, p := range slices.Backward(append(in.leaving, in.processes...)) {
		p.stop()
	}
}

// explain adds the proxy's own words to an error.
func (in *instance) explain(err error) error {
	for _, p := range in.processes {
		if text := p.tail(); text != "" {
			err = fmt.Errorf("%w; it says:\n%s", err, text)
		}
	}
	return err
}
