package protocols

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const rotated = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-secret, protocol: HTTPS}
    hosts: ["secret.example.com"]
    tls: {mode: SIMPLE, credentialName: web}
  - port: {number: 443, name: https-files, protocol: HTTPS}
    hosts: ["files.example.com"]
    tls: {mode: SIMPLE, serverCertificate: %[1]s/tls.crt, privateKey: %[1]s/tls.key}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["secret.example.com", "files.example.com"]
  gateways: [web]
  http:
  - directResponse: {status: 200, body: {string: "hello"}}
`

// rotation is a gateway with a certificate in a Secret and one in files.
type rotation struct {
	*gateway
	ca *authority
	// files is the folder of the certificate, laid out as Kubernetes mounts Secrets.
	files string
	count int
}

// hosts are those of the certificates.
var rotatedHosts = []string{"secret.example.com", "files.example.com"}

func newRotation(t *testing.T) *rotation {
	t.Helper()
	r := &rotation{ca: newAuthority(t), files: t.TempDir()}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(r.files, name)); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := r.ca.issue(t, "files.example.com")
	r.mount(t, cert, key)
	r.gateway = start(t, fmt.Sprintf(rotated, r.files)+r.ca.secret(t, "first", "secret.example.com"), []int{443})
	r.replace(t, "secret.example.com")
	return r
}

// mount puts files in place as the kubelet does: a new folder, and a link that is swapped.
func (r *rotation) mount(t *testing.T, cert, key []byte) {
	t.Helper()
	r.count++
	version := fmt.Sprintf("..version%d", r.count)
	if err := os.Mkdir(filepath.Join(r.files, version), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(r.files, version, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(version, filepath.Join(r.files, "..next")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.files, "..next"), filepath.Join(r.files, "..data")); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(r.files, fmt.Sprintf("..version%d", r.count-1)))
}

// put puts a certificate in place, whatever it is.
func (r *rotation) put(t *testing.T, host string, cert, key []byte) {
	t.Helper()
	if host == "files.example.com" {
		r.mount(t, cert, key)
		return
	}
	b64 := base64.StdEncoding.EncodeToString
	r.write(t, "secret.yaml", fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: web, namespace: istio-system}\ndata: {tls.crt: %s, tls.key: %s}\n", b64(cert), b64(key)))
}

// replace puts a new certificate in place, and returns how long it took to be served.
func (r *rotation) replace(t *testing.T, host string) time.Duration {
	t.Helper()
	cert, key := r.ca.issue(t, host)
	want := firstCertificate(t, cert).SerialNumber.String()
	begun := time.Now()
	r.put(t, host, cert, key)
	for time.Since(begun) < patience {
		if r.serial(host) == want {
			return time.Since(begun)
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the new certificate of %s is not served", host)
	return 0
}

// serial returns the serial number of the certificate that a new connection is shown, ""
// where there is none.
func (r *rotation) serial(host string) string {
	c, err := tls.Dial("tcp", r.at(443), &tls.Config{ServerName: host, RootCAs: r.ca.pool()})
	if err != nil {
		return ""
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func firstCertificate(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// load are clients that make requests until it is ended.
type load struct {
	stop     chan struct{}
	running  sync.WaitGroup
	requests map[string]*atomic.Int64
	failed   atomic.Int64
	first    atomic.Value
}

// clients starts clients of each kind: of kept connections of HTTP/1.1 and HTTP/2, and with
// a connection for each request, sessions resumed or not.
func (r *rotation) clients() *load {
	l := &load{stop: make(chan struct{}), requests: map[string]*atomic.Int64{}}
	for _, host := range rotatedHosts {
		for kind, o := range map[string]struct{ h2, new, resume bool }{
			"HTTP/1.1 kept": {}, "HTTP/2 kept": {h2: true}, "new": {new: true}, "new, resumed": {new: true, resume: true, h2: true},
		} {
			config := &tls.Config{ServerName: host, RootCAs: r.ca.pool()}
			if o.resume {
				config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
			}
			var protocols http.Protocols
			protocols.SetHTTP1(!o.h2)
			protocols.SetHTTP2(o.h2)
			transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: o.new, Protocols: &protocols}
			count := new(atomic.Int64)
			l.requests[kind+" "+host] = count
			l.running.Go(func() { l.run(transport, "https://"+r.at(443)+"/", host, count) })
		}
	}
	return l
}

func (l *load) run(transport *http.Transport, url, host string, count *atomic.Int64) {
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		err := func() error {
			request, err := http.NewRequest(http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			request.Host = host
			response, err := client.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || string(body) != "hello" {
				return fmt.Errorf("%d %q, %v", response.StatusCode, body, err)
			}
			return nil
		}()
		if count.Add(1); err != nil {
			l.failed.Add(1)
			l.first.CompareAndSwap(nil, host+": "+err.Error())
		}
		// Each client leaves room for the others.
		time.Sleep(time.Millisecond)
	}
}

// end ends the clients, once each has made some requests, and returns how many there were.
func (l *load) end(t *testing.T) (total int64) {
	t.Helper()
	for _, count := range l.requests {
		for until := time.Now().Add(patience); count.Load() < 10 && time.Now().Before(until); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	close(l.stop)
	l.running.Wait()
	for kind, count := range l.requests {
		if total += count.Load(); count.Load() < 10 {
			t.Errorf("%s: only %d requests were made", kind, count.Load())
		}
	}
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", n, total, l.first.Load())
	}
	return total
}

// TestRotation: a hundred certificates follow each other, in a Secret and in files, and no
// request fails. Each is served a moment after it is written.
func TestRotation(t *testing.T) {
	r := newRotation(t)
	l := r.clients()
	delays := map[string][]time.Duration{}
	for range 50 {
		for _, host := range rotatedHosts {
			delays[host] = append(delays[host], r.replace(t, host))
		}
	}
	total := l.end(t)
	for host, list := range delays {
		slices.Sort(list)
		t.Logf("%s: %d rotations, served after %v (median), %v at most", host, len(list), list[len(list)/2], list[len(list)-1])
		if list[len(list)/2] > 5*time.Second {
			t.Errorf("%s: a new certificate is served only after %v", host, list[len(list)/2])
		}
	}
	t.Logf("%d requests, %d failed", total, l.failed.Load())
}

// TestBrokenCertificate: one that cannot be used changes nothing, and is told of until it is
// mended.
func TestBrokenCertificate(t *testing.T) {
	r := newRotation(t)
	l := r.clients()
	for _, c := range []struct{ host, condition, log, metric string }{
		{"secret.example.com", "BadCertificate", "BadCertificate", `sluice_config_conditions{severity="error"} 1`},
		{"files.example.com", "CertificateBroken", "certificate source is broken", `sluice_certificate_broken{source="file ` + r.files + `/tls.crt"} 1`},
	} {
		good := r.serial(c.host)
		cert, _ := r.ca.issue(t, c.host)
		_, key := r.ca.issue(t, c.host)
		r.put(t, c.host, cert, key)
		told := r.page(t, "/conditions", c.condition)
		if !strings.Contains(told, "key") {
			t.Errorf("the condition does not say what is wrong:\n%s", told)
		}
		if strings.Contains(told+r.page(t, "/certs", ""), "PRIVATE") {
			t.Error("a key is shown")
		}
		r.page(t, "/stats/prometheus", c.metric)
		until(t, fmt.Sprintf("the log has %q", c.log), func() bool { return strings.Contains(r.log.String(), c.log) })
		if now := r.serial(c.host); now != good {
			t.Errorf("%s: the certificate served is %q, want the last good one, %q", c.host, now, good)
		}
		r.replace(t, c.host)
		for until := time.Now().Add(patience); strings.Contains(r.page(t, "/conditions", ""), c.condition); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: the condition stays:\n%s", c.host, r.page(t, "/conditions", ""))
			}
		}
	}
	l.end(t)
}

// page returns a page of the admin server, once it holds a text.
func (g *gateway) page(t *testing.T, path, text string) string {
	t.Helper()
	var page string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		response, err := http.Get("http://" + g.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if page = string(body); strings.Contains(page, text) {
			return page
		}
	}
	t.Fatalf("%s never holds %q:\n%s", path, text, page)
	return ""
}
