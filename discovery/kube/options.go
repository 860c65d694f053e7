package kube

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/version"
)

// Options say which cluster to follow, and what of it. The zero value is the cluster that the
// process runs in, else the one that kubectl would talk to, all of it.
type Options struct {
	// REST says how to reach the API server; nil has it read from Kubeconfig and Context, as
	// kubectl does: an empty Kubeconfig is $KUBECONFIG or ~/.kube/config. With both
	// empty, a pod talks to its own cluster.
	REST                *rest.Config
	Kubeconfig, Context string
	// Namespaces are those to watch, beside the gateway's own; empty for all.
	Namespaces []string
	// Selector chooses, among all namespaces, those to watch by their labels, as
	// discoverySelectors do in Istio: "env=prod,team!=x". Empty for all.
	Selector string
	// Namespace is the gateway's own. Its Pods are read in whole. Empty means istio-system.
	Namespace string
	// Node is the name of the node that this proxy runs on, whose labels are read; empty where
	// they are not needed, or it is not known.
	Node string
	// MeshConfig is the "namespace/name" of the ConfigMap with the mesh's configuration; empty for
	// none.
	MeshConfig string
	// Wants, where not nil, is called with each Delta before that is handed on, the first time
	// with everything, and returns what the front end needs beyond what is watched
	// anyway: all of it, each time. What the first Delta is wanted to have is waited for, but no
	// longer than 5 s.
	Wants func(config.Delta) config.Wants
	// Snapshot is a file that what is handed on is written to, and read from where the API
	// server does not answer at the start; empty for none. It holds Secrets, unless
	// SnapshotNoSecrets: nobody else can read it (mode 0600).
	Snapshot          string
	SnapshotNoSecrets bool
	// Logger is told what happens; nil means slog.Default().
	Logger *slog.Logger
}

// ErrConfiguration begins the errors of New: nothing but another start with other options
// can mend these.
var ErrConfiguration = errors.New("no way to the Kubernetes API server")

func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = "istio-system"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// restConfig says how to reach the API server.
func (o Options) restConfig() (*rest.Config, error) {
	if o.REST != nil {
		return rest.CopyConfig(o.REST), nil
	}
	if o.Kubeconfig == "" && o.Context == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		c, err := rest.InClusterConfig()
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, rest.ErrNotInCluster) {
			return nil, fmt.Errorf("%w: this is a pod, but its service account cannot be used (%w): mount its token, with automountServiceAccountToken: true in the pod", ErrConfiguration, err)
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	c, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context}).ClientConfig()
	switch {
	case err == nil:
		return c, nil
	case clientcmd.IsEmptyConfig(err):
		return nil, fmt.Errorf("%w: this is no pod, and there is no kubeconfig: name one with --kubeconfig FILE (kubectl's is %s)", ErrConfiguration, filepath.Join("~", clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName))
	case o.Context != "":
		return nil, fmt.Errorf("%w: %w: `kubectl config get-contexts` says which contexts there are", ErrConfiguration, err)
	}
	return nil, fmt.Errorf("%w: the kubeconfig cannot be used: %w: name another one with --kubeconfig FILE", ErrConfiguration, err)
}

// client returns the API server of a configuration.
func client(c *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c = rest.CopyConfig(c)
	c.GroupVersion = &schema.GroupVersion{}
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.UserAgent = "sluice-gateway/" + version.Get().Version
	// Watches last, and what is asked for is asked for once: no limit of rate or time. To
	// decompress costs more than to read on the network that a cluster has.
	c.QPS, c.Timeout, c.DisableCompression = -1, 0, true
	return rest.UnversionedRESTClientFor(c)
}

// namespaces are those to look in; a single "" for all.
func (o Options) namespaces() []string {
	if len(o.Namespaces) == 0 {
		return []string{""}
	}
	list := []string{o.Namespace}
	for _, n := range o.Namespaces {
		if n != o.Namespace {
			list = append(list, n)
		}
	}
	return list
}

func (o Options) selector() (labels.Selector, error) {
	if o.Selector == "" {
		return nil, nil
	}
	s, err := labels.Parse(o.Selector)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the selector %q of namespaces: %w", ErrConfiguration, o.Selector, err)
	case len(o.Namespaces) > 0:
		return nil, fmt.Errorf("%w: namespaces are named, or selected by their labels: not both", ErrConfiguration)
	}
	return s, nil
}
