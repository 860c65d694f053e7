package protocols

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sluicegate/sluice/test/freeport"
)

// egressManifests returns the manifests of the document, in which the ports and the
// authorities are those of this test.
func egressManifests(t *testing.T, plain, secure int, authorities string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "egress.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	if len(all) != 3 {
		t.Fatalf("the document has %d manifests, want 3", len(all))
	}
	// The servers listen where they may.
	changed := strings.NewReplacer(
		"protocol: HTTP, targetPort: 443", fmt.Sprintf("protocol: HTTP, targetPort: %d", plain),
		"protocol: TLS, targetPort: 443", fmt.Sprintf("protocol: TLS, targetPort: %d", secure),
		"/etc/ssl/certs/ca-certificates.crt", authorities,
	).Replace(strings.Join(all, "---\n"))
	if strings.Contains(changed, "targetPort: 443") || !strings.Contains(changed, authorities) {
		t.Fatal("the document's ports or authorities are not found")
	}
	return changed
}

// nameServer is a DNS of the test, whose answers can be changed.
type nameServer struct {
	mu      sync.Mutex
	answers map[string]net.IP
}

func (n *nameServer) set(name, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[name+"."] = net.ParseIP(address)
}

// ServeDNS answers with a TTL of a second. Names that are not known do not exist.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(r)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, q := range r.Question {
		address, known := n.answers[strings.ToLower(q.Name)]
		switch {
		case !known:
			m.Rcode = dns.RcodeNameError
		case q.Qtype == dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: address})
		}
	}
	w.WriteMsg(m)
}

// serveNames starts a DNS, and returns the resolv.conf that names it.
func serveNames(t *testing.T) (*nameServer, string) {
	t.Helper()
	n := &nameServer{answers: map[string]net.IP{}}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: n}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	_, port, _ := net.SplitHostPort(packets.LocalAddr().String())
	if err := os.WriteFile(conf, []byte("nameserver [127.0.0.1]:"+port+"\nsearch .\noptions timeout:5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return n, conf
}

// outside is a server of the world outside, which says who it is and how it was asked.
func outside(t *testing.T, config *tls.Config, address, who string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sni := "plaintext"
		if r.TLS != nil {
			sni = "TLS for " + r.TLS.ServerName
		}
		fmt.Fprintf(w, "%s: %s %s by %s", who, r.Host, r.URL.Path, sni)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // Handshakes fail on purpose.
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no second address on this machine: %v", err)
	}
	s.Listener.Close()
	s.Listener = l
	if config == nil {
		s.Start()
	} else {
		s.TLS = config
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func port(s *httptest.Server) int { return s.Listener.Addr().(*net.TCPAddr).Port }

// ask makes a request to a port of the gateway, for a host, and returns the status and body.
func (g *gateway) ask(t *testing.T, at int, host string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+g.at(at)+"/path", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestEgress runs the manifests of docs/egress.md.
func TestEgress(t *testing.T) {
	ca := newAuthority(t)
	roots := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(roots, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	api := outside(t, &tls.Config{Certificates: []tls.Certificate{ca.keyPair(t, "api.example.com")}}, fmt.Sprintf("127.0.0.1:%d", freeport.Take()), "api")
	// The same port at another address, where another will answer for the name.
	moved := outside(t, &tls.Config{Certificates: []tls.Certificate{ca.keyPair(t, "api.example.com")}}, fmt.Sprintf("127.0.0.2:%d", port(api)), "moved")
	wrong := outside(t, &tls.Config{Certificates: []tls.Certificate{ca.keyPair(t, "other.example.com")}}, fmt.Sprintf("127.0.0.3:%d", port(api)), "wrong")
	www := outside(t, &tls.Config{Certificates: []tls.Certificate{ca.keyPair(t, "www.example.com")}}, "127.0.0.1:0", "www")
	anywhere := outside(t, nil, "127.0.0.1:0", "anywhere")
	names, conf := serveNames(t)
	names.set("www.example.com", "127.0.0.1")
	g := start(t, egressManifests(t, port(api), port(www), roots), []int{80, 443, 8888}, "--labels", "istio=egressgateway", "--resolv-conf", conf, "--access-log", "-")

	// The name is not known yet.
	if status, body := g.ask(t, 80, "api.example.com"); status != http.StatusServiceUnavailable {
		t.Errorf("a name that does not exist: %d %q, want 503", status, body)
	}
	names.set("api.example.com", "127.0.0.1")
	g.until(t, 80, "api.example.com", http.StatusOK, "api: api.example.com /path by TLS for api.example.com")

	// DNS has another address: it is used when the TTL is over.
	names.set("api.example.com", "127.0.0.2")
	g.until(t, 80, "api.example.com", http.StatusOK, "moved: api.example.com /path by TLS for api.example.com")
	moved.CloseClientConnections()

	// Somebody who cannot prove that he is the one is not spoken to.
	names.set("api.example.com", "127.0.0.3")
	g.until(t, 80, "api.example.com", http.StatusServiceUnavailable, "")
	for until := time.Now().Add(patience); !strings.Contains(g.log.String(), "the_certificate_is_for_other.example.com,_not_for_api.example.com"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the access log does not say whose certificate it was")
		}
		// The connections of before had to end first.
		g.until(t, 80, "api.example.com", http.StatusServiceUnavailable, "")
	}
	wrong.Close()

	// What no rule has does not leave.
	if status, _ := g.ask(t, 80, "elsewhere.example.com"); status != http.StatusNotFound {
		t.Errorf("a host without a rule: %d, want 404", status)
	}

	t.Run("passthrough", func(t *testing.T) {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			DialContext:     func(context.Context, string, string) (net.Conn, error) { return net.Dial("tcp", g.at(443)) },
			TLSClientConfig: &tls.Config{RootCAs: ca.pool()},
		}}
		response, err := client.Get("https://www.example.com/path")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "www: www.example.com /path by TLS for www.example.com" {
			t.Errorf("%q, %v", body, err)
		}
		if _, err := client.Get("https://api.example.com/"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a name without a rule: %v, want a reset", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		host := anywhere.Listener.Addr().String()
		if status, body := g.ask(t, 8888, host); status != http.StatusOK || body != "anywhere: "+host+" /path by plaintext" {
			t.Errorf("%d %q", status, body)
		}
	})
	if !bytes.Contains([]byte(g.page(t, "/clusters", "")), []byte("api.example.com")) {
		t.Error("the clusters do not show the name")
	}
}

// until asks until the answer is the one that is wanted.
func (g *gateway) until(t *testing.T, at int, host string, status int, body string) {
	t.Helper()
	var got int
	var said string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if got, said = g.ask(t, at, host); got == status && strings.Contains(said, body) {
			return
		}
	}
	t.Fatalf("%s: %d %q, want %d %q", host, got, said, status, body)
}
