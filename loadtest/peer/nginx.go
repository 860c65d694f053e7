package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

var nginxProxy = &proxy{
	name: "nginx",
	prepare: func(context.Context, string, io.Writer) (string, string, error) {
		return nginxInstalled("")
	},
	prepared: nginxInstalled,
	files: func(in *instance) error {
		if err := in.nginxStreams(); err != nil {
			return err
		}
		return in.write("nginx.conf", "nginx.conf.tmpl", in)
	},
	start: func(in *instance) error {
		_, err := in.run(in.binary, nil, "-c", in.path("nginx.conf"), "-p", in.Dir, "-e", "stderr")
		return err
	},
	reload: func(in *instance) error {
		return in.processes[0].cmd.Process.Signal(syscall.SIGHUP) // what nginx -s reload sends
	},
}

func nginxInstalled(string) (binary, version string, err error) {
	if binary, err = installed("nginx"); err != nil {
		return "", "", err
	}
	out, err := exec.Command(binary, "-v").CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("nginx -v: %w: %s", err, out)
	}
	_, version, _ = strings.Cut(strings.TrimSpace(string(out)), "nginx/")
	return binary, version, nil
}

// nginxStreamModules are where Debian and others put the module for TCP.
var nginxStreamModules = []string{
	"/usr/lib/nginx/modules/ngx_stream_module.so",
	"/usr/lib64/nginx/modules/ngx_stream_module.so",
	"/etc/nginx/modules/ngx_stream_module.so",
}

// StreamModule is the module that nginx needs for TCP; empty where it is not installed.
func (in *instance) StreamModule() string {
	for _, path := range nginxStreamModules {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

func (in *instance) nginxStreams() error {
	if in.TCP() && in.StreamModule() == "" {
		return errors.New("nginx has no module for TCP; Debian's package libnginx-mod-stream has it")
	}
	return nil
}

// User is who nginx's workers run as: with root as the master, the scratch folder is root's.
func (in *instance) User() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return ""
}
