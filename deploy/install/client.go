// Package install puts objects into a Kubernetes cluster, waits until they work, and takes
// them away again.
//
// It owns how that is done: server-side apply under a name of its own, what goes first, what
// ready means for each kind, and how it finds again what it made. It must not know what
// the objects are for: they come from deploy and deploy/crds.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// FieldManager is the name under which objects are applied.
const FieldManager = "sluice"

// Labels are what the objects of a release carry, by which they are found again.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	InstanceLabel  = "app.kubernetes.io/instance"
)

// Cluster is a Kubernetes cluster.
type Cluster struct {
	// Host is the API server's URL.
	Host    string
	dynamic dynamic.Interface
	out     io.Writer
	pause   time.Duration
	dry     bool
	// made are the namespaces that were applied.
	made map[string]bool
}

// Options say which cluster, and how it is worked on.
type Options struct {
	// Kubeconfig and Context are as kubectl has them: empty for its own choices.
	Kubeconfig, Context string
	// DryRun has the API server check everything and change nothing.
	DryRun bool
	// Out is told of the progress, in lines.
	Out io.Writer
}

// Connect reads how to reach the cluster. It does not talk to it yet.
func Connect(o Options) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("there is no kubeconfig that says where the cluster is: name one with --kubeconfig FILE or in $KUBECONFIG (kubectl's is ~/.kube/config)")
	}
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig: %w; `kubectl config get-contexts` lists what --context may name", err)
	}
	return connect(config, o)
}

func connect(config *rest.Config, o Options) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 50, 100
	config.UserAgent = FieldManager
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{Host: config.Host, dynamic: client, out: o.Out, dry: o.DryRun, pause: 500 * time.Millisecond, made: make(map[string]bool)}, nil
}

// unreachable says what to do about an API server that does not answer.
func (c *Cluster) unreachable(err error) error {
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %s does not know who you are: %w; renew the credentials of the kubeconfig", c.Host, err)
	case errors.As(err, new(*url.Error)) && !errors.Is(err, context.Canceled):
		return fmt.Errorf("the API server at %s does not answer: %w; `kubectl cluster-info` shows whether it is the right one, --context chooses another", c.Host, err)
	}
	return err
}

// failed says of an object what did not work, and what would help.
func (c *Cluster) failed(verb string, o *unstructured.Unstructured, err error) error {
	if apierrors.IsForbidden(err) {
		kind := strings.ToLower(o.GetKind())
		return fmt.Errorf("%s %s: %w; `kubectl auth can-i %s %s` tells, and whoever runs the cluster can allow it", verb, describe(o), err, verb, kind)
	}
	return fmt.Errorf("%s %s: %w", verb, describe(o), c.unreachable(err))
}

// describe names an object as people do.
func describe(o *unstructured.Unstructured) string {
	if o.GetNamespace() != "" {
		return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
	}
	return o.GetKind() + " " + o.GetName()
}

func (c *Cluster) say(format string, args ...any) {
	fmt.Fprintf(c.out, format+"\n", args...)
}
