package protocols

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

// redis starts a Redis and returns its port.
func redis(t *testing.T) int {
	t.Helper()
	port := freeport.Take()
	daemon(t, need(t, "redis-server"), "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	reachable(t, port)
	return port
}

// mariadb starts a MariaDB that lets a user in from anywhere, and believes the PROXY protocol of this
// machine; it returns its port.
func mariadb(t *testing.T) int {
	t.Helper()
	server, install := need(t, "mariadbd"), need(t, "mariadb-install-db")
	dir := t.TempDir()
	data := "--datadir=" + filepath.Join(dir, "data")
	run(t, nil, install, "--no-defaults", data, "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db")
	users := filepath.Join(dir, "users.sql")
	if err := os.WriteFile(users, []byte("CREATE USER app@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON *.* TO app@'%';\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freeport.Take()
	daemon(t, server, "--no-defaults", data, "--user=root", "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port),
		"--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"), "--init-file="+users, "--skip-name-resolve",
		"--proxy-protocol-networks=127.0.0.1", "--max-allowed-packet=64M", "--innodb-buffer-pool-size=16M")
	reachable(t, port)
	return port
}

func clientFlags(t *testing.T, address string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--no-defaults", "--protocol=tcp", "-h", host, "-P", port, "-u", "app", "-psecret", "--batch", "--skip-column-names", "--max-allowed-packet=64M"}
}

// daemon runs a program until the test ends.
func daemon(t *testing.T, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // it has nothing worth writing down
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), log.String())
		}
	})
}

func reachable(t *testing.T, port int) {
	t.Helper()
	await(t, func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// refused waits until nobody serves an address any more.
func refused(t *testing.T, address string) {
	t.Helper()
	await(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return true
		}
		defer conn.Close()
		// A server that is slow to speak is one, too.
		conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err = conn.Read(make([]byte, 1))
		return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	})
}

// loadBalancer forwards connections, with a header in front, until the test ends.
func loadBalancer(t *testing.T, to, header string) string {
	t.Helper()
	return serveConns(t, func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		io.WriteString(server, header)
		go func() {
			io.Copy(server, client)
			server.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(client, server)
	})
}

// serveConns hands each connection to serve, on a goroutine of its own, until the test ends.
func serveConns(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String()
}
