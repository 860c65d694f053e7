package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/discovery/kube"
	"github.com/sluicegate/sluice/role"
)

// cluster are the flags for configuration from a Kubernetes cluster.
type cluster struct {
	on      bool
	secrets bool
	options kube.Options
	// kube is the cluster, once it is followed.
	kube *kube.Cluster
}

func (c *cluster) add(flags *pflag.FlagSet) {
	flags.BoolVar(&c.on, "kube", false, "read and watch the Kubernetes cluster that this is a pod of, or else that of kubectl's kubeconfig, instead of --config")
	flags.StringVar(&c.options.Kubeconfig, "kubeconfig", "", "kubeconfig that leads to the cluster; empty for a pod's own cluster, else $KUBECONFIG or ~/.kube/config")
	flags.StringVar(&c.options.Context, "context", "", "context of the kubeconfig; empty for its current one")
	flags.StringVar(&c.options.Node, "node-name", "", "node that the proxy runs on, whose labels say where that is unless --locality does; empty for $NODE_NAME")
	flags.StringSliceVar(&c.options.Namespaces, "watch-namespaces", nil, "namespaces to read, beside the gateway's own: shop,blog (repeatable); empty for all")
	flags.StringVar(&c.options.Selector, "discovery-selector", "", "labels of the namespaces to read, beside the gateway's own, such as env=prod,team!=x; empty for all")
	flags.StringVar(&c.options.Snapshot, "snapshot", "", "file to keep what was read in, for a start while the API server is away; empty for none")
	flags.BoolVar(&c.secrets, "snapshot-secrets", true, "keep Secrets in the snapshot too: without them TLS is not served after such a start")
}

// clusterFlags are those that make no sense without --kube.
var clusterFlags = []string{"kubeconfig", "context", "node-name", "watch-namespaces", "discovery-selector", "snapshot", "snapshot-secrets"}

// check reports what makes no sense in them.
func (c *cluster) check(cmd *cobra.Command, folders bool) error {
	if c.on && folders {
		return start.Misusef("--config and --kube exclude each other: what is in the folders can be applied to the cluster, kubectl apply -f DIR")
	}
	for _, name := range clusterFlags {
		if !c.on && cmd.Flags().Changed(name) {
			return start.Misusef("--%s has no effect without --kube", name)
		}
	}
	if c.options.Selector != "" && len(c.options.Namespaces) > 0 {
		return start.Misusef("--watch-namespaces and --discovery-selector exclude each other: name the namespaces, or choose them by their labels")
	}
	return nil
}

// node is the name of the node that the proxy runs on, where it is needed to tell where that is.
func (c *cluster) node(locality string) string {
	if !c.on || locality != "" {
		return ""
	}
	return cmp.Or(c.options.Node, os.Getenv("NODE_NAME"))
}

// follow returns the cluster as a source, and where it is. meshConfig is the ConfigMap with the
// mesh's configuration, empty where that comes from elsewhere.
func (c *cluster) follow(logger *slog.Logger, ingresses ingress.Options, proxy istio.Options, meshConfig string) (role.Source, []string, error) {
	o := c.options
	o.Logger, o.Namespace, o.SnapshotNoSecrets = logger, proxy.Namespace, !c.secrets
	o.Node, o.MeshConfig = proxy.Node, meshConfig
	o.Wants = wants(ingresses, proxy)
	k, err := kube.New(o)
	if err != nil {
		return nil, nil, err
	}
	c.kube = k
	return k.Watch, []string{k.REST().Host}, nil
}

// wants returns what says which objects are needed that are not watched anyway. It has a
// compiler of its own, that sees nothing but what may name such objects: what is needed must be
// known before the gateway's compiler gets to see a change.
func wants(o ingress.Options, proxy istio.Options) func(config.Delta) config.Wants {
	c := ingress.NewCompiler(o, proxy)
	seen := map[config.Key]bool{}
	var wanted config.Wants
	return func(d config.Delta) config.Wants {
		var some config.Delta
		for _, object := range d.Set {
			if istio.MayWant(object) || ingress.MayWant(object) || seen[object.Key] {
				some.Set = append(some.Set, object)
				seen[object.Key] = true
			}
		}
		for _, key := range d.Removed {
			if seen[key] {
				some.Removed = append(some.Removed, key)
				delete(seen, key)
			}
		}
		if len(some.Set)+len(some.Removed) > 0 {
			c.Apply(some)
			wanted = c.Wants()
		}
		return wanted
	}
}

// readingGCPercent is GOGC while the first objects are read: nearly all that is allocated then
// stays, and to look through it ten times over costs more than what goes would take. A limit of
// memory holds nevertheless.
const readingGCPercent = 400

// unhurried has garbage collected less often until a source's first objects are in force.
func unhurried(source role.Source) role.Source {
	if os.Getenv("GOGC") != "" {
		return source
	}
	return func(ctx context.Context, publish func(config.Delta)) error {
		normal := debug.SetGCPercent(readingGCPercent)
		first := sync.OnceFunc(func() { debug.SetGCPercent(normal) })
		defer first()
		return source(ctx, func(d config.Delta) {
			publish(d)
			first()
		})
	}
}
