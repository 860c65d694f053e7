package tls

import (
	"bytes"
	ctls "crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

func fileSettings(dir string) *router.ServerTLS {
	return &router.ServerTLS{Certificates: []router.Credential{{
		CertificateFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"),
	}}}
}

// serves tells whether handshakes get a certificate now.
func (s *Store) serves(settings *router.ServerTLS, want *pair) bool {
	r := s.shake(settings, &ctls.Config{InsecureSkipVerify: true, ServerName: "shop.example.com"})
	return r.err() == nil && r.client.PeerCertificates[0].Equal(want.cert)
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A hundred rotations under handshakes, in each way in which files are replaced: none fails,
// and each new certificate is soon served.
func TestRotation(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	for name, replace := range map[string]func(t *testing.T, dir string, n int, p *pair){
		"one after the other": func(t *testing.T, dir string, _ int, p *pair) {
			write(t, filepath.Join(dir, "tls.crt"), p.chain())
			write(t, filepath.Join(dir, "tls.key"), p.keyPEM())
		},
		"in place": func(t *testing.T, dir string, _ int, p *pair) {
			must(t, os.WriteFile(filepath.Join(dir, "tls.key"), p.keyPEM(), 0o600))
			must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), p.chain(), 0o600))
		},
		"as Kubernetes": func(t *testing.T, dir string, n int, p *pair) {
			data := fmt.Sprintf("..%d", n)
			write(t, filepath.Join(dir, data, "tls.crt"), p.chain())
			write(t, filepath.Join(dir, data, "tls.key"), p.keyPEM())
			must(t, os.Symlink(data, filepath.Join(dir, "..tmp")))
			must(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
			if n == 0 {
				must(t, os.Symlink("..data/tls.crt", filepath.Join(dir, "tls.crt")))
				must(t, os.Symlink("..data/tls.key", filepath.Join(dir, "tls.key")))
			} else {
				must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..%d", n-1))))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			settings := fileSettings(dir)
			replace(t, dir, 0, root.host(t, "shop.example.com"))
			// Polling could hide that a watch sees nothing.
			s := newStore(t, Options{Poll: time.Hour})
			s.Update(serverSpec(settings))

			var stop atomic.Bool
			var handshakes, failed atomic.Int64
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					for !stop.Load() {
						r := s.shake(settings, &ctls.Config{RootCAs: pool(root), ServerName: "shop.example.com"})
						handshakes.Add(1)
						if err := r.err(); err != nil {
							failed.Add(1)
							t.Errorf("handshake: %v", err)
							return
						}
					}
				})
			}
			rotations := 34
			if testing.Short() {
				rotations = 5
			}
			for n := 1; n <= rotations; n++ {
				next := root.host(t, "shop.example.com")
				replace(t, dir, n, next)
				eventually(t, "the new certificate", func() bool { return s.serves(settings, next) })
			}
			eventually(t, "handshakes beside the rotations", func() bool { return failed.Load() > 0 || handshakes.Load() >= int64(rotations) })
			stop.Store(true)
			wg.Wait()
			if failed.Load() > 0 {
				t.Fatalf("%d of %d handshakes failed", failed.Load(), handshakes.Load())
			}
			if p := s.Problems(); len(p) > 0 {
				t.Fatalf("problems are %+v", p)
			}
		})
	}
}

// What is broken keeps the last good certificate, and is told of.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	first, second := root.host(t, "shop.example.com"), root.host(t, "shop.example.com")
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, crt, first.chain())
	write(t, key, first.keyPEM())
	var log lines
	events := make(chan Event, 100)
	s := newStore(t, Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Poll: time.Hour,
		Observe: func(e Event) { events <- e },
	})
	settings := fileSettings(dir)
	s.Update(serverSpec(settings))
	if e := <-events; e.Source != "file "+crt || e.Err != "" {
		t.Fatalf("event is %+v", e)
	}
	for _, tt := range []struct {
		name  string
		spoil func()
		want  string
	}{
		{"key of another", func() { write(t, key, second.keyPEM()) }, "key does not belong to the certificate"},
		{"half a certificate", func() { write(t, crt, first.chain()[:300]) }, "cut off"},
		{"half a key", func() { write(t, key, first.keyPEM()[:100]) }, "cut off"},
		{"nothing", func() { write(t, crt, nil) }, "it is empty"},
		{"a key in the certificate's place", func() { write(t, crt, first.keyPEM()) }, "no PEM block CERTIFICATE"},
		{"a certificate in the key's place", func() { write(t, key, first.chain()) }, "no PEM block PRIVATE KEY"},
		{"no file", func() { must(t, os.Remove(crt)) }, "tls.crt does not exist"},
		{"a folder", func() { must(t, os.Remove(crt)); must(t, os.Mkdir(crt, 0o700)) }, "not a regular file"},
	} {
		tt.spoil()
		e := <-events
		if e.Err == "" || !strings.Contains(e.Err, tt.want) || !strings.Contains(e.Err, "last good version stays in force") {
			t.Fatalf("%s: event is %+v", tt.name, e)
		}
		problems := s.Problems()
		if len(problems) != 1 || problems[0].Err != e.Err || !strings.Contains(problems[0].Credential, crt) {
			t.Fatalf("%s: problems are %+v", tt.name, problems)
		}
		if !s.serves(settings, first) {
			t.Fatalf("%s: the last good certificate is not served", tt.name)
		}
		if status := s.Certificates(); len(status) != 1 || status[0].Err == "" || status[0].Serial == "" {
			t.Fatalf("%s: status is %+v", tt.name, status)
		}
		_ = os.Remove(crt)
		write(t, crt, first.chain())
		write(t, key, first.keyPEM())
		for e := range events {
			if e.Err == "" {
				break
			}
		}
		if p := s.Problems(); len(p) != 0 {
			t.Fatalf("%s: problems are %+v", tt.name, p)
		}
	}
	text := log.String()
	if !strings.Contains(text, crt) || !strings.Contains(text, "certificate source is broken") || !strings.Contains(text, "well again") {
		t.Fatalf("log is %s", text)
	}
	for _, line := range strings.Split(string(first.keyPEM()), "\n")[1:2] {
		if strings.Contains(text, line) {
			t.Fatal("the log has a key")
		}
	}
}

// Files that are not there yet, and folders, are found when they come: by the poll where the
// folder is not there either.
func TestLateFiles(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	dir := filepath.Join(t.TempDir(), "later", "certs")
	settings := fileSettings(dir)
	s := newStore(t, Options{Poll: 5 * time.Millisecond})
	s.Update(serverSpec(settings))
	expect(t, s.shake(settings, &ctls.Config{InsecureSkipVerify: true}).serverErr, "tls.crt does not exist")
	for range 2 {
		p := root.host(t, "shop.example.com")
		write(t, filepath.Join(dir, "tls.key"), p.keyPEM())
		write(t, filepath.Join(dir, "tls.crt"), p.chain())
		eventually(t, "the certificate", func() bool { return s.serves(settings, p) })
		// The folder is another one next time.
		must(t, os.RemoveAll(filepath.Dir(dir)))
		eventually(t, "a problem", func() bool { return len(s.Problems()) == 1 })
		if !s.serves(settings, p) {
			t.Fatal("the last good certificate is not served")
		}
	}
}

// Update keeps what did not change: configurations, and with them what they remember.
func TestUpdateKeepsIdentity(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	a, b := secretOf("a", root.host(t, "a.example.com")), secretOf("b", root.host(t, "b.example.com"))
	chainA, chainB := simple("a"), simple("b")
	cluster := &router.ClientTLS{ServerName: "up.example.com", Certificate: &router.Credential{Secret: "default/a"}}
	spec := func(settings []*router.ServerTLS, c *router.ClientTLS, secrets ...*router.Secret) *router.Spec {
		spec := serverSpec(settings[0], secrets...)
		for _, t := range settings[1:] {
			spec.Listeners[0].Chains = append(spec.Listeners[0].Chains, &router.Chain{Name: "other", TLS: t})
		}
		spec.Clusters = []*router.Cluster{{Name: "up", TLS: c}}
		return spec
	}
	s := newStore(t, Options{})
	s.Update(spec([]*router.ServerTLS{chainA, chainB}, cluster, a, b))
	server := func(settings *router.ServerTLS) *ctls.Config {
		t.Helper()
		c, err := s.Server(settings, nil)
		must(t, err)
		return c
	}
	client := func(settings *router.ClientTLS) *ctls.Config {
		t.Helper()
		c, err := s.Client(settings, "")
		must(t, err)
		return c
	}
	wasA, wasB, wasUp := server(chainA), server(chainB), client(cluster)
	// The same again, in part as copies.
	copyA, copyUp, secret := *chainA, *cluster, *a
	s.Update(spec([]*router.ServerTLS{&copyA, chainB}, &copyUp, &secret, b))
	if server(&copyA) != wasA || server(chainB) != wasB || client(&copyUp) != wasUp {
		t.Fatal("what has not changed was made anew")
	}
	// Those before are in force still.
	if server(chainA) != wasA || client(cluster) != wasUp {
		t.Fatal("the configuration before is gone")
	}
	// One Secret changes.
	s.Update(spec([]*router.ServerTLS{&copyA, chainB}, &copyUp, secretOf("a", root.host(t, "a.example.com")), b))
	if server(&copyA) == wasA || client(&copyUp) == wasUp {
		t.Fatal("what has changed was not made anew")
	}
	if server(chainB) != wasB {
		t.Fatal("what has not changed was made anew")
	}
	s.Update(&router.Spec{})
	s.Update(&router.Spec{})
	if _, err := s.Server(&copyA, nil); err == nil {
		t.Fatal("what is not configured is served")
	}
	if _, err := s.Client(&copyUp, ""); err == nil {
		t.Fatal("what is not configured is spoken to")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.credentials) + len(s.trusts) + len(s.servers) + len(s.clients) + len(s.secrets) + len(s.files.byPath); n != 0 {
		t.Fatalf("%d things are kept for nothing", n)
	}
}

// Chains that share files parse them once.
func TestSharedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newRoot(t, "servers").host(t, "shop.example.com")
	write(t, filepath.Join(dir, "tls.crt"), p.chain())
	write(t, filepath.Join(dir, "tls.key"), p.keyPEM())
	var loads atomic.Int64
	s := newStore(t, Options{Observe: func(Event) { loads.Add(1) }})
	spec := &router.Spec{Listeners: []*router.Listener{{}}}
	for i := range 50 {
		settings := fileSettings(dir)
		settings.Protocols = []string{fmt.Sprint("p", i)}
		spec.Listeners[0].Chains = append(spec.Listeners[0].Chains, &router.Chain{Name: fmt.Sprint("chain", i%25), TLS: settings})
	}
	s.Update(spec)
	s.Update(spec)
	if loads.Load() != 1 {
		t.Fatalf("loaded %d times", loads.Load())
	}
	status := s.Certificates()
	if len(status) != 1 || len(status[0].Chains) != 25 || status[0].Key != "ECDSA-P-256" || status[0].Issuer != "CN=servers" ||
		status[0].Subject != "CN=shop.example.com" || status[0].Names[0] != "shop.example.com" || !status[0].NotAfter.Equal(p.cert.NotAfter) {
		t.Fatalf("status is %+v", status)
	}
}
