package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// Options are how a proxy is started.
type Options struct {
	// Dir is a folder for its configuration and logs, which it has for itself.
	Dir string
	// Cache is the folder that Prepare built into.
	Cache string
	// Cores are its workers, threads or GOMAXPROCS; 0 for 1.
	Cores int
	// Connections are those that clients will have at a time. Some proxies make memory ready for
	// each that they may have, so that only those of a work which needs many are told of many.
	Connections int
	// CPUs are the processors that it may use, a list as taskset takes it; empty for any.
	CPUs string
	// Binary is run instead of the prepared program; sluice-sidecar is taken from beside it.
	Binary string
}

// Running is a proxy that serves.
type Running struct {
	Name, Version string
	// Addr is where it serves, host:port.
	Addr string
	// Admin is where it tells of itself, host:port; nothing answers there but for "sluice".
	Admin string
	// PIDs are its processes, which Reload may change; none for "direct".
	PIDs []int
	// AccessLog is the file that it logs to; empty where the site has no access log.
	AccessLog string
	// Loaded is how long it took from its start until it gave the first right answer.
	Loaded time.Duration

	in *instance
}

// proxy is how one peer is found, configured, started and told of changes.
type proxy struct {
	name string
	// prepare returns its program and version; it builds it where it must be built.
	prepare func(ctx context.Context, cache string, progress io.Writer) (binary, version string, err error)
	// prepared returns where prepare leaves the program.
	prepared func(cache string) (binary, version string, err error)
	// files writes its configuration.
	files func(*instance) error
	// start starts its processes.
	start func(*instance) error
	// reload has it follow what has been written by renew.
	reload func(*instance) error
	// renew writes the configuration again after a change; nil for files.
	renew func(*instance) error
	// untold are the headers of requests that it cannot make.
	untold []string
	// blind ones have no routes and tell the backend nothing.
	blind bool
}

var proxies = []*proxy{sluiceProxy, nginxProxy, haproxyProxy, caddyProxy, traefikProxy, envoyProxy}

// Names returns the peers, the gateway first. Beside them there are work.Direct, which is no proxy
// but the backend's own address, and work.Relay, which is not much of one.
func Names() []string {
	names := make([]string, len(proxies))
	for i, p := range proxies {
		names[i] = p.name
	}
	return names
}

func named(name string) (*proxy, error) {
	for _, p := range append(proxies[:len(proxies):len(proxies)], directProxy, relayProxy) {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("there is no peer %q; there are %q, %q and %q", name, Names(), work.Direct, work.Relay)
}

// Prepare finds or builds the programs of peers and returns their versions, and why others are
// missing. What it builds goes into the cache folder, where the next call finds it.
func Prepare(ctx context.Context, names []string, cache string, progress io.Writer) (ready map[string]string, missing map[string]error) {
	ready, missing = map[string]string{}, map[string]error{}
	for _, name := range names {
		p, err := named(name)
		if err == nil {
			err = os.MkdirAll(cache, 0o755)
		}
		if err == nil {
			_, ready[name], err = p.prepare(ctx, cache, progress)
		}
		if err != nil {
			delete(ready, name)
			missing[name] = err
		}
	}
	return ready, missing
}

// Start starts a peer for a site and returns once it gives the right answers: it routes by host
// and path, rewrites the path, tells the backend of the client, and refuses other hosts.
func Start(ctx context.Context, name string, site work.Site, o Options) (*Running, error) {
	p, err := named(name)
	if err != nil {
		return nil, err
	}
	in, err := newInstance(p, site, o)
	if err != nil {
		return nil, err
	}
	if err := p.files(in); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.start(in); err != nil {
		in.stop()
		return nil, in.explain(err)
	}
	err = in.await(ctx)
	took := time.Since(began)
	if err == nil {
		err = in.check(ctx)
	}
	if err != nil {
		in.stop()
		return nil, in.explain(err)
	}
	r := &Running{Name: name, Version: in.version, Addr: in.Address, Admin: in.Admin, Loaded: took, in: in, PIDs: in.pids()}
	if site.AccessLog {
		r.AccessLog = in.Log
	}
	return r, nil
}

// Stop ends its processes.
func (r *Running) Stop() { r.in.stop() }

// Reload changes where the last route of the last host leads, tells the proxy in the way that its
// users do, and returns how long it took from then until the change was served.
func (r *Running) Reload(ctx context.Context, site work.Site) (took time.Duration, err error) {
	in := r.in
	if in.proxy.reload == nil {
		return 0, errors.New(r.Name + " has no configuration")
	}
	if site.Hosts != in.Site.Hosts || site.RoutesPerHost != in.Site.RoutesPerHost {
		return 0, fmt.Errorf("%s serves another site than is to change", r.Name)
	}
	in.change()
	renew := in.proxy.renew
	if renew == nil {
		renew = in.proxy.files
	}
	if err := renew(in); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := in.proxy.reload(in); err != nil {
		return 0, in.explain(err)
	}
	if err := in.await(ctx); err != nil {
		return 0, in.explain(err)
	}
	took = time.Since(began)
	r.PIDs = in.settled()
	return took, nil
}

// installed returns a proxy's program that is found on PATH, or in sbin.
func installed(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(dir, name)
		if s, err := os.Stat(path); err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed (test/install-tools.sh installs what Debian has)", name)
}
