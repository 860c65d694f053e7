package kube

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/sluicegate/sluice/config"
)

const (
	// quiet is how long nothing must have happened before a change is handed on, patience
	// how long it waits at most.
	quiet    = 5 * time.Millisecond
	patience = 25 * time.Millisecond
	// maxRest bounds the rest between two Deltas.
	maxRest = 50 * time.Millisecond
	// wantedPatience is Cluster.patience.
	wantedPatience = 5 * time.Second
	// maxRefusal and maxAbsence are refusal and absence of Cluster. An API server that starts refuses
	// everybody everything until it has read the roles.
	maxRefusal, maxAbsence = 2 * time.Second, 10 * time.Second
	// gather is how long namespaces that join wait for others, and relistPatience how long for the
	// lists of those before.
	gather, relistPatience = 200 * time.Millisecond, 30 * time.Second
	// snapshotAfter is how long a start waits for the API server before it takes the
	// snapshot.
	snapshotAfter = 3 * time.Second
)

// Cluster follows a Kubernetes cluster. Its methods may be called from any goroutine.
type Cluster struct {
	opt      Options
	log      *slog.Logger
	rest     *rest.Config
	api      rest.Interface
	selector labels.Selector
	versions *versions
	set      *set
	health   health

	// patience bounds how long the first Delta waits for what it is wanted to have.
	patience time.Duration
	// refusal is how long a kind must be forbidden at the start, and absence how long one must be
	// missing whose objects are known, before that is believed.
	refusal, absence time.Duration

	// mu guards what follows, and the state of the sources.
	mu      sync.Mutex
	sources []*source
	// wanted are the sources that were started because Options.Wants asked for them.
	wanted map[place]*source
	// selected are the namespaces that the selector chooses; nil for all.
	selected atomic.Pointer[map[string]bool]
	// wholePods are the namespaces whose Pods are read in whole.
	wholePods atomic.Pointer[map[string]bool]

	// joined says that a namespace is watched now that was not before.
	joined atomic.Bool

	// running are the goroutines of the sources.
	running sync.WaitGroup
	// reported is told of the news of sources.
	reported chan struct{}
}

// New returns a Cluster that is not followed yet. It fails where the options make no
// sense, with an ErrConfiguration; that nobody answers is no such case.
func New(o Options) (*Cluster, error) {
	o = o.withDefaults()
	c := &Cluster{opt: o, log: o.Logger, set: newSet(), patience: wantedPatience, refusal: maxRefusal, absence: maxAbsence, wanted: map[place]*source{}, reported: make(chan struct{}, 1)}
	var err error
	if c.selector, err = o.selector(); err != nil {
		return nil, err
	}
	if c.rest, err = o.restConfig(); err != nil {
		return nil, err
	}
	if c.api, err = client(c.rest); err != nil {
		return nil, configurationError(err)
	}
	c.versions = &versions{api: c.api, fresh: time.Second, groups: map[string]*groupVersions{}}
	c.health.news = make(chan struct{}, 1)
	c.wholePods.Store(&map[string]bool{o.Namespace: true})
	return c, nil
}

// REST returns how the API server is reached, for whoever writes there.
func (c *Cluster) REST() *rest.Config { return rest.CopyConfig(c.rest) }

// Identity returns what a writer of statuses has to know of an object that was handed on; false where
// the object is gone, or came from a snapshot, or is of a kind without one.
func (c *Cluster) Identity(key config.Key) (Identity, bool) { return c.set.identity(key) }

// Watch follows the cluster until ctx ends, when it returns ctx's error. It calls publish
// from its own goroutine, one call at a time: first with everything that there is, then
// with each change. It is to be called once.
//
// Nothing that is wrong with the cluster ends it; it is in the Delta's Conditions.
func (c *Cluster) Watch(ctx context.Context, publish func(config.Delta)) error {
	ctx, stop := context.WithCancel(ctx)
	defer c.running.Wait()
	defer stop()
	// What a reflector has to say is said here in other words.
	ctx = klog.NewContext(ctx, logr.Discard())
	if c.selector != nil {
		s := c.source(namespace, "", "")
		joined := make(chan struct{}, 1)
		s.store = &namespaces{source: s, labels: map[string]labels.Set{}, begin: func() { c.start(ctx, c.base()...) }, joined: joined}
		c.running.Go(func() { c.relist(ctx, joined) })
		c.start(ctx, s)
	} else {
		c.start(ctx, c.base()...)
	}
	w := &publisher{cluster: c, publish: publish}
	if err := w.first(ctx); err != nil {
		return err
	}
	if c.opt.Snapshot != "" {
		// It ends when nothing more is handed on, which may be a while after ctx has.
		handing, handed := context.WithCancel(context.WithoutCancel(ctx))
		defer handed()
		c.running.Go(func() { c.keepSnapshot(handing) })
	}
	return w.run(ctx)
}

// relist lists everything anew whenever namespaces have joined: once for those that join together,
// and not before the lists for the last ones are there, or in a cluster that fills none would ever be.
func (c *Cluster) relist(ctx context.Context, joined <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-joined:
		}
		sleep(ctx, gather)
		select {
		case <-joined:
		default:
		}
		list := c.base()
		c.start(ctx, list...)
		c.joined.Store(true)
		c.tell()
		patience := time.NewTimer(relistPatience)
		for _, s := range list {
			select {
			case <-s.heard:
			case <-patience.C:
				patience.Reset(0)
			case <-ctx.Done():
			}
		}
		patience.Stop()
	}
}

// base returns the sources that there always are.
func (c *Cluster) base() (list []*source) {
	for _, ns := range c.opt.namespaces() {
		for _, r := range resources {
			if !r.cluster {
				list = append(list, c.source(r, ns, ""))
			}
		}
	}
	for _, r := range resources {
		if r.cluster {
			list = append(list, c.source(r, "", ""))
		}
	}
	if c.opt.Node != "" {
		list = append(list, c.source(node, "", c.opt.Node))
	}
	if namespace, name, ok := strings.Cut(c.opt.MeshConfig, "/"); ok {
		list = append(list, c.source(configMap, namespace, name))
	}
	return append(list, c.source(pod, c.opt.Namespace, ""))
}

// source returns a source of a resource in a namespace, or in all; of one object, or of all.
func (c *Cluster) source(r *resource, namespace, name string) *source {
	s := &source{cluster: c, resource: r, namespace: namespace, name: name, heard: make(chan struct{})}
	s.store = s
	switch {
	case name != "":
		s.fields = "metadata.name=" + name
	case r == podMetadata && namespace == "":
		s.fields = "metadata.namespace!=" + c.opt.Namespace
	}
	return s
}

// start runs sources, in the place of those that are about the same.
func (c *Cluster) start(ctx context.Context, list ...*source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range list {
		ctx, stop := context.WithCancel(ctx)
		s.stop = stop
		if i := slices.IndexFunc(c.sources, s.like); i >= 0 {
			// What the old one gave is the new one's, until that has listed.
			c.sources[i].stop()
			c.set.retire(c.sources[i], func(types.NamespacedName) *source { return s })
			s.state = c.sources[i].state
			c.sources[i] = s
		} else {
			c.sources = append(c.sources, s)
		}
		c.running.Go(func() { s.run(ctx) })
	}
}

// end stops a source. What it gave is forgotten, or is that of the sources that cover it, which
// list anew.
func (c *Cluster) end(ctx context.Context, s *source) {
	c.mu.Lock()
	c.sources = slices.DeleteFunc(c.sources, func(other *source) bool { return other == s })
	// What was wrong with it is no trouble any more, and nobody else may have any news soon.
	c.judge()
	c.mu.Unlock()
	c.tell()
	s.stop()
	var heirs []*source
	for _, other := range c.wanted {
		if other.resource.name == s.resource.name {
			heirs = append(heirs, other)
		}
	}
	got := c.set.retire(s, func(name types.NamespacedName) *source {
		if i := slices.IndexFunc(heirs, func(heir *source) bool { return heir.covers(name) }); i >= 0 {
			return heirs[i]
		}
		return nil
	})
	for at, heir := range c.wanted {
		// A source of labels has passed over what another read in whole.
		passed := at.resource == podMetadata && s.resource == pod && (at.namespace == "" || at.namespace == s.namespace)
		if heir.stop != nil && (passed || got[heir]) {
			c.wanted[at] = c.source(at.resource, at.namespace, at.name)
			c.start(ctx, c.wanted[at])
		}
	}
}

// watches says whether an object is to be known: its namespace is watched, or it has none, or it
// is the one of its kind.
func (c *Cluster) watches(o *config.Object) bool {
	selected := c.selected.Load()
	return selected == nil || o.Namespace == "" || o.Namespace == c.opt.Namespace || (*selected)[o.Namespace] || o.Kind == configMap.kind
}

// whole says whether the Pods of a namespace are read in whole.
func (c *Cluster) whole(namespace string) bool { return (*c.wholePods.Load())[namespace] }

// place is what a wanted source is about.
type place struct {
	resource        *resource
	namespace, name string
}

// maxNamespaces is the number of namespaces of whose Pods the labels are asked for one by one;
// of more they are asked for all together.
const maxNamespaces = 16

// want starts what is wanted now, and ends what is not any more.
func (c *Cluster) want(ctx context.Context, w config.Wants) {
	wanted := map[place]bool{}
	whole := map[string]bool{c.opt.Namespace: true}
	for _, key := range w.Secrets {
		wanted[place{secret, key.Namespace, key.Name}] = true
	}
	for _, namespace := range w.Pods {
		if whole[namespace] = true; namespace != c.opt.Namespace && c.reads(namespace) {
			wanted[place{pod, namespace, ""}] = true
		}
	}
	for _, namespace := range c.scopes(w.PodLabels) {
		if !whole[namespace] && c.reads(namespace) {
			wanted[place{podMetadata, namespace, ""}] = true
		}
	}
	// Once asked for, nodes are followed for good: they are few, and this proxy's own is among them.
	if everywhere := (place{node, "", ""}); w.Nodes || c.wanted[everywhere] != nil {
		wanted[everywhere] = true
	}
	c.wholePods.Store(&whole)
	c.set.forsake(func(key config.Key) bool { return c.mayWant(wanted, key) })
	var begin, gone []*source
	for at := range wanted {
		if c.wanted[at] == nil {
			c.wanted[at] = c.source(at.resource, at.namespace, at.name)
			begin = append(begin, c.wanted[at])
		}
	}
	for at, s := range c.wanted {
		if !wanted[at] {
			delete(c.wanted, at)
			gone = append(gone, s)
		}
	}
	// Those that begin take over before they list, so that nothing is away in between.
	for _, s := range begin {
		c.set.adopt(s)
	}
	for _, s := range gone {
		c.end(ctx, s)
	}
	c.start(ctx, begin...)
}

// mayWant says whether an object is of a kind that everybody has, or one that is wanted.
func (c *Cluster) mayWant(wanted map[place]bool, key config.Key) bool {
	switch {
	case key.Group != "":
		return true
	case key.Kind == secret.kind:
		return wanted[place{secret, key.Namespace, key.Name}]
	case key.Kind == pod.kind:
		return key.Namespace == c.opt.Namespace || wanted[place{pod, key.Namespace, ""}] ||
			wanted[place{podMetadata, key.Namespace, ""}] || wanted[place{podMetadata, "", ""}]
	case key.Kind == node.kind:
		return key.Name == c.opt.Node || wanted[place{node, "", ""}]
	}
	return true
}

// rejoin lists again what is wanted of every namespace, where there is one more.
func (c *Cluster) rejoin(ctx context.Context) {
	if !c.joined.Swap(false) {
		return
	}
	for at := range c.wanted {
		if at.resource != secret {
			c.wanted[at] = c.source(at.resource, at.namespace, at.name)
			c.start(ctx, c.wanted[at])
		}
	}
}

// scopes are the namespaces to ask one by one; "" for all of them at once.
func (c *Cluster) scopes(namespaces []string) []string {
	switch all := slices.Contains(namespaces, ""); {
	case len(c.opt.Namespaces) > 0 && all:
		return c.opt.namespaces()
	case len(c.opt.Namespaces) == 0 && (all || len(namespaces) > maxNamespaces):
		return []string{""}
	}
	return namespaces
}

// reads says whether a namespace is one of those that Options.Namespaces names.
func (c *Cluster) reads(namespace string) bool {
	return len(c.opt.Namespaces) == 0 || slices.Contains(c.opt.namespaces(), namespace)
}

// waitsFor returns how many sources have not settled.
func (c *Cluster) waitsFor() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.selector != nil && c.selected.Load() == nil {
		n++
	}
	for _, s := range c.sources {
		if !s.state.settled() {
			n++
		}
	}
	return n
}
