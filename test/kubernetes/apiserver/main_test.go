package apiserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// The test binary starts itself a second time, in its own network; these variables tell
// the second where things are that the first has built or found. gatewayVar and sluiceVar
// may name other binaries to test.
const (
	insideVar  = "SLUICE_TEST_INSIDE"
	gatewayVar = "SLUICE_TEST_GATEWAY"
	sluiceVar  = "SLUICE_TEST_SLUICE"
	pebbleVar  = "SLUICE_TEST_PEBBLE"
	crdsVar    = "SLUICE_TEST_CRDS"
	binVar     = "SLUICE_TEST_BIN"
)

// lacking says why no API server can be started here; nil where it can.
var lacking error

func TestMain(m *testing.M) {
	if os.Getenv(insideVar) != "" {
		os.Exit(inside(m))
	}
	status, err := outside()
	switch {
	case errors.Is(err, errLacking):
		lacking = err
		status = m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// errLacking begins the errors that are of the machine, not of the project.
var errLacking = errors.New("no API server can be started here")

// outside builds what the tests need, and runs them in a network of their own.
func outside() (status int, err error) {
	bin, err := binaries()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "sluice-apiserver-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	gateway, err := built(dir, gatewayVar, "gateway")
	if err != nil {
		return 0, err
	}
	sluice, err := built(dir, sluiceVar, "sluice")
	if err != nil {
		return 0, err
	}
	// The module of the tests of protocols has the authority.
	pebble := filepath.Join(dir, "pebble")
	if _, err := root("go", "build", "-C", filepath.Join("test", "protocols"), "-o", pebble, "github.com/letsencrypt/pebble/v2/cmd/pebble"); err != nil {
		return 0, err
	}
	api, err := root("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api")
	if err != nil {
		return 0, err
	}
	// The second process ends with the thread that started it, so with this one.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=1", gatewayVar+"="+gateway, sluiceVar+"="+sluice, pebbleVar+"="+pebble, "PEBBLE_VA_NOSLEEP=1", binVar+"="+bin,
		crdsVar+"="+filepath.Join(api, "kubernetes", "customresourcedefinitions.gen.yaml"))
	cmd.SysProcAttr = ownNetwork()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: no network namespace (run as root, or let users make user namespaces: sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns): %w", errLacking, err)
	}
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return 0, err
		}
		return max(1, exit.ExitCode()), nil
	}
	return 0, nil
}

// built returns the binary of a command: the one that a variable names, or a new one.
func built(dir, variable, command string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	path := filepath.Join(dir, command)
	_, err := root("go", "build", "-o", path, "./cmd/"+command)
	return path, err
}

// binaries returns the folder of Kubernetes' binaries, which build.sh makes.
func binaries() (string, error) {
	home := os.Getenv("SLUICE_KUBERNETES")
	if home == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		home = filepath.Join(cache, "sluice-kubernetes")
	}
	bin := filepath.Join(home, "bin")
	if _, err := os.Stat(filepath.Join(bin, "hyperkube")); err != nil {
		return "", fmt.Errorf("%w: none is built (make api-server builds it, or test/kubernetes/build.sh api): %w", errLacking, err)
	}
	return bin, nil
}

// root runs a command at the root of the project's own module.
func root(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join("..", "..", "..")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// ownNetwork asks for a network namespace; who is not root becomes root of a user
// namespace around it.
func ownNetwork() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// inside runs the tests, in the network that outside made.
func inside(m *testing.M) int {
	if err := raiseLoopback(); err != nil {
		fmt.Fprintln(os.Stderr, "the loopback device:", err)
		return 1
	}
	status := m.Run()
	if common.server != nil {
		common.server.stop()
		if status == 0 {
			os.RemoveAll(common.server.dir)
		} else {
			fmt.Fprintln(os.Stderr, "logs of etcd and the API server are in", common.server.dir)
		}
	}
	return status
}

// raiseLoopback gives the loopback device the addresses of pods.
func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	pods, err := netlink.ParseAddr(podRange)
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetUp(lo), netlink.AddrAdd(lo, pods))
}

// need skips a test where no API server can be started; in CI, where it must be, it fails.
func need(t testing.TB) {
	t.Helper()
	switch {
	case lacking == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(lacking)
	default:
		t.Skip(lacking)
	}
}
