package protocols

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// servers are Redis and MariaDB behind TCP and TLS servers of a Gateway. The placeholders are
// the ports at which they listen.
const servers = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 6379, name: redis, protocol: REDIS}, hosts: ["*"]}
  - {port: {number: 3306, name: mysql, protocol: MYSQL}, hosts: ["*"]}
  - port: {number: 6380, name: rediss, protocol: TLS}
    hosts: ["redis.example.com"]
    tls: {mode: SIMPLE, credentialName: redis}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: databases, namespace: default}
spec:
  hosts: ["*"]
  gateways: [edge]
  tcp:
  - match: [{port: 6379}]
    route: [{destination: {host: redis.example.com, port: {number: 6379}}}]
  - match: [{port: 3306}]
    route: [{destination: {host: db.example.com, port: {number: 3306}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: redis, namespace: default}
spec:
  hosts: ["redis.example.com"]
  gateways: [edge]
  tcp:
  - match: [{port: 6380}]
    route: [{destination: {host: redis.example.com, port: {number: 6379}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: redis, namespace: default}
spec:
  hosts: [redis.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 6379, name: redis, protocol: REDIS}]
  endpoints: [{address: 127.0.0.1, ports: {redis: %d}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: default}
spec:
  hosts: [db.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 3306, name: mysql, protocol: MYSQL}]
  endpoints: [{address: 127.0.0.1, ports: {mysql: %d}}]
`

// ports are those that servers asks for.
var ports = []int{6379, 6380, 3306}

// announced has the gateway tell MariaDB who its client is.
const announced = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: default}
spec:
  host: db.example.com
  trafficPolicy: {proxyProtocol: {version: %s}}
`

// TestRedis: clients of a real Redis, plain and inside TLS.
func TestRedis(t *testing.T) {
	cli, benchmark := need(t, "redis-cli"), need(t, "redis-benchmark")
	ca := newAuthority(t)
	g := start(t, fmt.Sprintf(servers, redis(t), 1)+ca.secret(t, "redis", "redis.example.com"), ports)
	root := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(root, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{
		"plain": {"-p", fmt.Sprint(g.ports[6379])},
		"TLS":   {"-p", fmt.Sprint(g.ports[6380]), "--tls", "--cacert", root, "--sni", "redis.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := "key-" + name
			do := func(input io.Reader, args ...string) string {
				return run(t, input, cli, append(flags, args...)...)
			}
			if got := do(nil, "PING"); got != "PONG" {
				t.Errorf("PING: %q", got)
			}
			big := strings.Repeat("0123456789abcdef", 1<<19) // 8 MiB
			if got := do(strings.NewReader(big), "-x", "SET", key); got != "OK" {
				t.Errorf("SET: %q", got)
			}
			if got := do(nil, "GET", key); got != big {
				t.Errorf("GET returned %d bytes, want %d", len(got), len(big))
			}
			listening(t, cli, flags, do, "channel-"+name)
			if name == "TLS" {
				return // redis-benchmark knows of no SNI
			}
			out := run(t, nil, benchmark, append(flags, "-q", "-n", "20000", "-c", "50", "-t", "set,get", "-d", "1000")...)
			if !strings.Contains(out, "GET: ") || strings.Contains(strings.ToLower(out), "error") {
				t.Errorf("redis-benchmark: %s", out)
			}
		})
	}
}

// listening holds that what the server has to say arrives by itself.
func listening(t *testing.T, cli string, flags []string, do func(io.Reader, ...string) string, channel string) {
	t.Helper()
	cmd := exec.CommandContext(within(t), cli, append(flags, "SUBSCRIBE", channel)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	expect(t, out, "subscribe")
	if got := do(nil, "PUBLISH", channel, "news"); got != "1" {
		t.Errorf("PUBLISH reached %s", got)
	}
	expect(t, out, "news")
}

// TestMariaDB: clients of a real MariaDB, which speaks first.
func TestMariaDB(t *testing.T) {
	client := need(t, "mariadb")
	backend := mariadb(t)
	g := start(t, fmt.Sprintf(servers, 1, backend), ports)
	query := func(t *testing.T, address, sql string) string {
		t.Helper()
		return run(t, strings.NewReader(sql), client, clientFlags(t, address)...)
	}
	t.Run("tables", func(t *testing.T) {
		query(t, g.at(3306), "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB);")
		for range 4 {
			query(t, g.at(3306), "INSERT INTO shop.t (v) VALUES (REPEAT('x', 4000000)), ('small');")
		}
		if got := query(t, g.at(3306), "SELECT COUNT(*), SUM(LENGTH(v)) FROM shop.t;"); got != "8\t16000020" {
			t.Errorf("tables: %q", got)
		}
		if got := query(t, g.at(3306), "SELECT v FROM shop.t WHERE id = 1;"); len(got) != 4000000 {
			t.Errorf("a blob of %d bytes", len(got))
		}
	})
	t.Run("reload", func(t *testing.T) { outlivesReload(t, g, client, backend) })
	for _, version := range []string{"V1", "V2"} {
		t.Run("PROXY protocol "+version, func(t *testing.T) {
			t.Parallel()
			told := start(t, fmt.Sprintf(servers, 1, backend)+fmt.Sprintf(announced, version), ports, "--proxy-protocol", "127.0.0.0/8")
			balancer := loadBalancer(t, told.at(3306), "PROXY TCP4 192.0.2.7 192.0.2.1 4321 3306\r\n")
			if got := query(t, balancer, "SELECT USER();"); got != "app@192.0.2.7" {
				t.Errorf("MariaDB takes the client for %q", got)
			}
			if out, err := exec.CommandContext(within(t), client, append(clientFlags(t, told.at(3306)), "-e", "SELECT 1")...).CombinedOutput(); err == nil {
				t.Errorf("a client without the header is served: %s", out)
			}
		})
	}
}

// outlivesReload holds one client's session while its route, and its backend, go away.
func outlivesReload(t *testing.T, g *gateway, client string, backend int) {
	cmd := exec.CommandContext(within(t), client, append(clientFlags(t, g.at(3306)), "--unbuffered")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	io.WriteString(in, "SET @x = 'kept'; SELECT CONCAT('before ', @x);\n")
	expect(t, out, "before kept")
	g.write(t, "config.yaml", "# nothing\n")
	refused(t, g.at(3306))
	io.WriteString(in, "SELECT CONCAT('without ', @x);\n")
	expect(t, out, "without kept")
	g.write(t, "config.yaml", fmt.Sprintf(servers, 1, backend))
	await(t, func() bool {
		return exec.CommandContext(within(t), client, append(clientFlags(t, g.at(3306)), "-e", "SELECT 1")...).Run() == nil
	})
	io.WriteString(in, "SELECT CONCAT('after ', @x);\n")
	expect(t, out, "after kept")
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the client ended with %v: %s", err, problems.String())
	}
}

// run runs a program to its end, and returns what it says, without the last line's end.
func run(t *testing.T, input io.Reader, path string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(atLength(t), path, args...)
	cmd.Stdin = input
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s%.2000s", filepath.Base(path), err, out, problems.Bytes())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// expect reads until a text has come.
func expect(t *testing.T, out io.Reader, text string) {
	t.Helper()
	var got []byte
	for buf := make([]byte, 4096); !bytes.Contains(got, []byte(text)); {
		n, err := out.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Fatalf("%v after %q, want %q", err, got, text)
		}
	}
}

// await waits for a condition.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("what is waited for does not happen")
		}
	}
}
