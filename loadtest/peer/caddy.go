package peer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

var caddyProxy = &proxy{
	name: "caddy",
	prepare: func(ctx context.Context, cache string, progress io.Writer) (string, string, error) {
		return caddyModule.build(ctx, cache, progress)
	},
	prepared: caddyModule.built,
	files: func(in *instance) error {
		if in.TCP() {
			return fmt.Errorf("caddy passes no connections on without a plugin")
		}
		return in.write("caddy.json", "caddy.json.tmpl", in)
	},
	start: func(in *instance) error {
		// Its folders are in the scratch folder, not in the user's home.
		env := append(in.gomaxprocs(), "XDG_DATA_HOME="+in.Dir, "XDG_CONFIG_HOME="+in.Dir)
		_, err := in.run(in.binary, env, "run", "--config", in.path("caddy.json"))
		return err
	},
	// What caddy reload does, but for reading the file.
	reload: func(in *instance) error {
		file, err := os.Open(in.path("caddy.json"))
		if err != nil {
			return err
		}
		defer file.Close()
		resp, err := http.Post("http://"+in.Admin+"/load", "application/json", file)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
			return fmt.Errorf("POST /load: %s: %s", resp.Status, text)
		}
		return nil
	},
}

var caddyModule = module{folder: "caddy", module: "github.com/caddyserver/caddy/v2", pkg: "."}
