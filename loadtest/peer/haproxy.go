package peer

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

var haproxyProxy = &proxy{
	name: "haproxy",
	prepare: func(context.Context, string, io.Writer) (string, string, error) {
		return haproxyInstalled("")
	},
	prepared: haproxyInstalled,
	files: func(in *instance) error {
		in.Log = filepath.Join(in.Dir, "stdout") // HAProxy writes to no file by itself
		for file, template := range map[string]string{"routes.map": "haproxy-routes.map.tmpl", "regexes.list": "haproxy-regexes.list.tmpl", "haproxy.cfg": "haproxy.cfg.tmpl"} {
			if err := in.write(file, template, in); err != nil {
				return err
			}
		}
		return nil
	},
	start: func(in *instance) error {
		_, err := in.run(in.binary, nil, "-db", "-f", in.path("haproxy.cfg"))
		return err
	},
	// A new process takes the listener over and has the old one finish, as systemd's unit and
	// HAProxy's master do it.
	reload: func(in *instance) error {
		old := in.processes[0]
		if _, err := in.run(in.binary, nil, "-db", "-f", in.path("haproxy.cfg"), "-sf", strconv.Itoa(old.pid())); err != nil {
			return err
		}
		in.processes = in.processes[1:]
		in.leaving = append(in.leaving, old)
		return nil
	},
}

func haproxyInstalled(string) (binary, version string, err error) {
	if binary, err = installed("haproxy"); err != nil {
		return "", "", err
	}
	out, err := exec.Command(binary, "-v").CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("haproxy -v: %w: %s", err, out)
	}
	f := strings.Fields(string(out))
	if len(f) < 3 {
		return "", "", fmt.Errorf("haproxy -v says no version: %s", out)
	}
	return binary, f[2], nil
}
