package istio_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

var update = flag.Bool("update", false, "rewrite the last section of the files under testdata")

// TestGolden compiles the objects of each testdata/*.txtar and compares what comes of
// them with the file's last section: listeners, clusters, what becomes of the
// requests, and the conditions. The sections are options (a map), objects.yaml,
// then.yaml (a further version of some), requests (one a line: METHOD URL, the
// port in brackets where it is not the URL's, and headers as name=value) and want.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d case files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sections, head := readSections(data)
			got := compileCase(t, sections)
			if *update {
				out := head + "-- want --\n" + got
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := sections["want"]; got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// readSections parses a txtar file. head is all before the section want.
func readSections(data []byte) (sections map[string]string, head string) {
	sections = map[string]string{}
	name, start := "", 0
	for at := 0; at < len(data); {
		end := at + bytes.IndexByte(data[at:], '\n') + 1
		line := strings.TrimSpace(string(data[at:end]))
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --") {
			sections[name] = string(data[start:at])
			name, start = strings.TrimSpace(line[3:len(line)-3]), end
			if name == "want" {
				head = string(data[:at])
			}
		}
		at = end
	}
	sections[name] = string(data[start:])
	if head == "" {
		head = string(data)
	}
	return sections, head
}

func compileCase(t *testing.T, sections map[string]string) string {
	var given struct {
		Role        string            `yaml:"role"`
		Labels      map[string]string `yaml:"labels"`
		Namespace   string            `yaml:"namespace"`
		AllGateways bool              `yaml:"allGateways"`
		ACMEForAll  bool              `yaml:"acmeForAll"`
		Locality    string            `yaml:"locality"`
		Now         time.Time         `yaml:"now"`
	}
	if err := yaml.Unmarshal([]byte(sections["options"]), &given); err != nil {
		t.Fatal(err)
	}
	options := istio.Options{Labels: given.Labels, Namespace: given.Namespace, AllGateways: given.AllGateways, ACMEForAll: given.ACMEForAll, Locality: given.Locality}
	if !given.Now.IsZero() {
		options.Now = func() time.Time { return given.Now }
	}
	options.LookupEnv = func(name string) (string, bool) { return "$" + name, name == "REGION" }
	if given.Role == "sidecar" {
		options.Role = istio.Sidecar
	} else if options.Labels == nil {
		options.Labels = map[string]string{"istio": "ingressgateway"}
	}
	compiler := istio.NewCompiler(options)
	result := compiler.Apply(config.Delta{Set: parse(t, sections["objects.yaml"])})
	if then := sections["then.yaml"]; then != "" {
		result = compiler.Apply(config.Delta{Set: parse(t, then)})
	}
	var b strings.Builder
	printSpec(&b, result.Spec)
	table, problems := router.Build(result.Spec, nil)
	for _, p := range problems {
		t.Errorf("router: %v", p)
	}
	for line := range strings.Lines(sections["requests"]) {
		if line = strings.TrimSpace(line); line != "" {
			printOutcome(&b, line, route(table, parseRequest(t, line)))
		}
	}
	for _, c := range result.Conditions {
		fmt.Fprintf(&b, "%s %s %s\n", c.Severity, c.Reason, c)
	}
	return b.String()
}

// parseRequest reads "GET http://host:80/path [8080] name=value".
func parseRequest(t *testing.T, line string) callRequest {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		t.Fatalf("request %q", line)
	}
	_, rest, _ := strings.Cut(fields[1], "://")
	host, path, _ := strings.Cut(rest, "/")
	r := callRequest{Method: fields[0], Host: host, Path: "/" + path, Port: 80, Headers: map[string]string{}}
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		r.Port = parsePort(t, host[at+1:])
	}
	for _, f := range fields[2:] {
		if strings.HasPrefix(f, "[") {
			r.Port = parsePort(t, strings.Trim(f, "[]"))
			continue
		}
		name, value, _ := strings.Cut(f, "=")
		r.Headers[name] = value
	}
	return r
}

func parsePort(t *testing.T, s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

func printOutcome(b *strings.Builder, line string, o outcome) {
	fmt.Fprintf(b, "%s\n    ", line)
	out, err := yaml.Marshal(o)
	if err != nil {
		panic(err)
	}
	b.WriteString(strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "\n    "))
	b.WriteByte('\n')
}

// printSpec writes a Spec for people, one line for each thing, without zero values.
func printSpec(b *strings.Builder, s *router.Spec) {
	for _, l := range s.Listeners {
		fmt.Fprintf(b, "listener %s address=%q port=%d nodePorts=%v\n", l.Name, l.Address, l.Port, l.NodePorts)
		for _, t := range l.Tables {
			printTable(b, t)
		}
		for _, c := range l.Chains {
			printChain(b, c)
		}
	}
	for _, c := range s.Clusters {
		fmt.Fprintf(b, "cluster %s resolution=%d balancer=%d", c.Name, c.Resolution, c.Balancer)
		if c.ConnectTimeout > 0 {
			fmt.Fprintf(b, " connectTimeout=%s", c.ConnectTimeout)
		}
		fmt.Fprintf(b, " from %s\n", origin(c.Origin))
		printClusterPolicies(b, c)
		for _, e := range c.Endpoints {
			fmt.Fprintf(b, "  %s weight=%d locality=%q workload=%q labels=%v\n", e.Address, e.Weight, e.Locality, e.Workload, e.Labels)
		}
	}
	for _, secret := range s.Secrets {
		printSecret(b, secret)
	}
	if s.Telemetry != nil {
		printTelemetry(b, s.Telemetry)
	}
}

func printTable(b *strings.Builder, t *router.RouteTable) {
	fmt.Fprintf(b, "  table %s port=%d\n", t.Name, t.Port)
	for _, h := range t.VirtualHosts {
		fmt.Fprintf(b, "    host %s %v", h.Name, h.Domains)
		if h.RequireTLS {
			b.WriteString(" requireTLS")
		}
		b.WriteByte('\n')
		for _, r := range h.Routes {
			printRoute(b, r)
		}
	}
}

func printChain(b *strings.Builder, c *router.Chain) {
	fmt.Fprintf(b, "  chain %s %v", c.Name, c.ServerNames)
	if c.IstioALPN {
		b.WriteString(" istioALPN")
	}
	fmt.Fprintf(b, " from %s\n", origin(c.Origin))
	if c.TLS != nil {
		tls := *c.TLS
		tls.Certificates, tls.Authorities = nil, router.Authorities{}
		fmt.Fprintf(b, "    tls %s\n", said(tls))
		for _, credential := range c.TLS.Certificates {
			fmt.Fprintf(b, "      certificate %s\n", said(credential))
		}
		if authorities := said(c.TLS.Authorities); authorities != "{}" {
			fmt.Fprintf(b, "      authorities %s\n", authorities)
		}
	}
	if c.Table != nil {
		printTable(b, c.Table)
	}
	for _, r := range c.Streams {
		fmt.Fprintf(b, "    stream %q from %s", r.Name, origin(r.Origin))
		if len(r.Subnets) > 0 {
			fmt.Fprintf(b, " subnets=%v", r.Subnets)
		}
		if r.IdleTimeout != 0 {
			fmt.Fprintf(b, " idle=%s", r.IdleTimeout)
		}
		b.WriteByte('\n')
		for _, d := range r.Destinations {
			fmt.Fprintf(b, "      to %s weight=%d\n", d.Cluster, d.Weight)
		}
	}
}

func origin(o router.Origin) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s/%s %s", o.Kind, o.Namespace, o.Name, o.Field))
}

func printRoute(b *strings.Builder, r *router.Route) {
	p := r.PolicyInForce()
	fmt.Fprintf(b, "      route %q from %s\n", r.Name, origin(r.Origin()))
	if match := matchText(&r.Match); match != matchText(&router.Match{}) {
		fmt.Fprintf(b, "        match %s\n", match)
	}
	if p.Sources != nil || p.MaxRequestBody != 0 {
		fmt.Fprintf(b, "        sources %+v body %d\n", p.Sources, p.MaxRequestBody)
	}
	for _, l := range p.Limits {
		fmt.Fprintf(b, "        limit %+v\n", l)
	}
	if p.IdleTimeout != 0 {
		fmt.Fprintf(b, "        idle %s\n", p.IdleTimeout)
	}
	for _, d := range r.Destinations {
		fmt.Fprintf(b, "        to %s weight=%d", d.Cluster, d.Weight)
		if d.Authority != "" {
			fmt.Fprintf(b, " authority=%s", d.Authority)
		}
		printHeaders(b, d.Headers)
		b.WriteByte('\n')
	}
	if r.Redirect != nil {
		fmt.Fprintf(b, "        redirect %+v\n", *r.Redirect)
	}
	if r.Direct != nil {
		fmt.Fprintf(b, "        direct %d %q\n", r.Direct.Status, r.Direct.Body)
	}
	if r.Rewrite != nil {
		fmt.Fprintf(b, "        rewrite %+v\n", *r.Rewrite)
	}
	if p.Timeout > 0 {
		fmt.Fprintf(b, "        timeout %s\n", p.Timeout.Round(time.Millisecond))
	}
	printRoutePolicies(b, r)
	if fmt.Sprint(p.Headers) != fmt.Sprint(router.HeaderPolicy{}) {
		b.WriteString("       ")
		printHeaders(b, p.Headers)
		b.WriteByte('\n')
	}
}

// matchText writes the conditions of a match in one line, all in braces.
func matchText(m *router.Match) string {
	path := fmt.Sprintf("{Path:%+v ", m.Path)
	return path + strings.TrimPrefix(fmt.Sprintf("%+v", *m.Conditions()), "{")
}

// retryByDefault is what is not printed of routes.
var retryByDefault = router.Retry{
	Attempts: 2, Backoff: 25 * time.Millisecond, MaxBackoff: 250 * time.Millisecond, AvoidPrevious: true,
	On: router.RetryConnectFailure | router.RetryRefusedStream | router.RetryUnavailable | router.RetryCancelled | router.RetryStatusCodes,
}

func printRoutePolicies(b *strings.Builder, r *router.Route) {
	p := r.PolicyInForce()
	passthrough := len(r.Destinations) == 1 && r.Destinations[0].Cluster == "PassthroughCluster"
	switch {
	case p.Retry != nil && !reflect.DeepEqual(*p.Retry, retryByDefault):
		fmt.Fprintf(b, "        retry %s %s\n", retryWords(p.Retry.On), said(*p.Retry, "On"))
	case p.Retry == nil && len(r.Destinations) > 0 && !passthrough:
		b.WriteString("        retry off\n")
	}
	if p.Fault != nil {
		fmt.Fprintf(b, "        fault %s\n", said(*p.Fault))
	}
	if p.CORS != nil {
		fmt.Fprintf(b, "        cors %s\n", said(*p.CORS))
	}
	for _, m := range p.Mirrors {
		fmt.Fprintf(b, "        mirror %s\n", said(m))
	}
}

// printConnection writes how a cluster's endpoints are spoken to, where that is not HTTP/1.1
// in the clear.
func printConnection(b *strings.Builder, c *router.Cluster) {
	if c.Protocol != router.ProtocolHTTP1 || c.HTTP2 != (router.HTTP2{}) {
		fmt.Fprintf(b, "  speaks %s", [...]string{"HTTP/1.1", "HTTP/2", "as the client", "as ALPN says", "TCP"}[c.Protocol])
		if c.HTTP2 != (router.HTTP2{}) {
			fmt.Fprintf(b, " %s", said(c.HTTP2))
		}
		b.WriteByte('\n')
	}
	if c.TLS != nil {
		fmt.Fprintf(b, "  tls %s\n", said(*c.TLS, "Certificate"))
		printPolicy(b, "shows", c.TLS.Certificate)
	}
	if c.ProxyProtocol != 0 {
		fmt.Fprintf(b, "  proxy protocol v%d\n", c.ProxyProtocol)
	}
}

func printSecret(b *strings.Builder, s *router.Secret) {
	fmt.Fprintf(b, "secret %s certificate=%d key=%s", s.Name, len(s.Certificate), s.Key)
	fmt.Fprintf(b, " ca=%d crl=%d staple=%d from %s\n", len(s.CA), len(s.CRL), len(s.OCSPStaple), origin(s.Origin))
}

func printClusterPolicies(b *strings.Builder, c *router.Cluster) {
	printConnection(b, c)
	if c.RingSize != 0 || c.TableSize != 0 {
		fmt.Fprintf(b, "  ring=%d table=%d\n", c.RingSize, c.TableSize)
	}
	pool := c.Pool
	pool.Budget = nil
	if pool != (router.Pool{}) {
		fmt.Fprintf(b, "  pool %s\n", said(pool))
	}
	printPolicy(b, "hash", c.Hash)
	printPolicy(b, "warmup", c.Warmup)
	printPolicy(b, "outlier", c.Outlier)
	printPolicy(b, "locality", c.Locality)
	printPolicy(b, "budget", c.Pool.Budget)
}

func printPolicy[T any](b *strings.Builder, name string, policy *T) {
	if policy != nil {
		fmt.Fprintf(b, "  %s %s\n", name, said(*policy))
	}
}

// said writes the fields of a struct that are not zero, but those left out.
func said(of any, without ...string) string {
	var fields []string
	v := reflect.ValueOf(of)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; !v.Field(i).IsZero() && !slices.Contains(without, name) {
			fields = append(fields, fmt.Sprintf("%s=%v", name, v.Field(i)))
		}
	}
	return "{" + strings.Join(fields, " ") + "}"
}

// retryWords writes conditions by their names in retryOn.
func retryWords(on router.RetryOn) string {
	var words []string
	for i, word := range []string{
		"connect-failure", "reset", "reset-before-request", "refused-stream", "5xx", "gateway-error", "retriable-4xx", "retriable-status-codes",
		"retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
	} {
		if on&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ",")
}

func printHeaders(b *strings.Builder, p router.HeaderPolicy) {
	if fmt.Sprint(p) != fmt.Sprint(router.HeaderPolicy{}) {
		fmt.Fprintf(b, " headers request=%+v response=%+v", p.Request, p.Response)
	}
}
