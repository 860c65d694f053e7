package kube

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/sluicegate/sluice/config"
)

const (
	// DefaultLease is the name of the lease of which the holder writes statuses, or how it
	// begins, where there are labels.
	DefaultLease = "sluice-gateway-status"
	// statusRate is how many requests a second a leader makes, statusBurst how many at once.
	statusRate, statusBurst = 20, 40
)

// StatusOptions say what a StatusWriter writes beside the conditions of objects. The zero value has
// defaults for all.
type StatusOptions struct {
	// Lease is the name of the lease by which replicas agree on the one that writes, in the
	// gateway's own namespace; empty means one for gateways with the same Labels, since those with
	// others write about other objects.
	Lease string
	// Holder is who this replica is; empty means $POD_NAME, else the host's name and something
	// random.
	Holder string
	// Labels are the gateway's own: its Service is that of its namespace which selects them.
	Labels map[string]string
	// Service is the "namespace/name" of the Service whose addresses Ingresses get, instead of the
	// gateway's own.
	Service string
	// Addresses are those that Ingresses get, IP addresses or host names, instead of a Service's.
	Addresses []string
}

// StatusWriter writes what came of objects to where their authors look: the status of Istio's
// objects and of Ingresses, and Events. Of all replicas one writes, the holder of a lease. Its
// methods may be called from any goroutine, and none of them waits for the API server but Watch.
type StatusWriter struct {
	cluster *Cluster
	opt     StatusOptions
	log     *slog.Logger
	metrics *statusMetrics

	// mu guards what follows: what is to be said.
	mu sync.Mutex
	// applied are the objects that may have a status, in the version that the conditions are about.
	applied    map[config.Key]*config.Object
	conditions []config.Condition
	// served are the Ingresses that are served; nil where nobody has told. Neither is changed, but
	// replaced.
	served map[config.Key]bool
	// foreign are objects that concern other proxies only, of which nothing is said.
	foreign map[config.Key]bool
	// news says that there may be something to write.
	news chan struct{}
}

// NewStatusWriter returns a writer for a cluster that is not followed yet.
func (c *Cluster) NewStatusWriter(o StatusOptions) *StatusWriter {
	if o.Lease == "" {
		o.Lease = DefaultLease
		if identity := labels.FormatLabels(o.Labels); len(o.Labels) > 0 {
			o.Lease = nameFor(DefaultLease+"-", identity, identity)
		}
	}
	if o.Holder = cmp.Or(o.Holder, os.Getenv("POD_NAME")); o.Holder == "" {
		host, _ := os.Hostname() // what is random tells replicas apart too
		o.Holder = host + "_" + rand.Text()
	}
	return &StatusWriter{
		cluster: c, opt: o, log: c.log, metrics: newStatusMetrics(),
		applied: map[config.Key]*config.Object{}, foreign: map[config.Key]bool{}, news: make(chan struct{}, 1),
	}
}

// Watch is Cluster.Watch, for a publish that has brought a change into force when it returns, and
// has told Conditions. It writes statuses until ctx ends.
func (w *StatusWriter) Watch(ctx context.Context, publish func(config.Delta)) error {
	writing := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		<-writing
	}()
	go func() {
		defer close(writing)
		w.write(ctx)
	}()
	return w.cluster.Watch(ctx, func(d config.Delta) {
		publish(d)
		w.apply(d)
	})
}

// Conditions takes all defects that there are. The list must not be changed any more.
func (w *StatusWriter) Conditions(all []config.Condition) {
	w.mu.Lock()
	same := slices.Equal(w.conditions, all)
	w.conditions = all
	w.mu.Unlock()
	if !same {
		w.tell()
	}
}

// Served takes the keys of the Ingresses that are served.
func (w *StatusWriter) Served(ingresses []config.Key) {
	served := make(map[config.Key]bool, len(ingresses))
	for _, key := range ingresses {
		served[key] = true
	}
	w.mu.Lock()
	w.served = served
	w.mu.Unlock()
	w.tell()
}

// Foreign takes whether an object concerns other proxies only, whose business its status is then.
func (w *StatusWriter) Foreign(object config.Key, foreign bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.foreign[object] == foreign {
		return
	}
	w.tell()
	if !foreign {
		delete(w.foreign, object)
		return
	}
	w.foreign[object] = true
}

// Collectors are the metrics of the writer.
func (w *StatusWriter) Collectors() []prometheus.Collector { return w.metrics.all() }

// apply notes which objects are in force now.
func (w *StatusWriter) apply(d config.Delta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	some := false
	for _, o := range d.Set {
		if r := resourceOf(o.Key); r != nil && r.statuses {
			w.applied[o.Key] = o
			some = true
		}
	}
	for _, key := range d.Removed {
		delete(w.applied, key)
	}
	if some {
		w.tell()
	}
}

func (w *StatusWriter) tell() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// write writes whenever this replica leads, until ctx ends.
func (w *StatusWriter) write(ctx context.Context) {
	lease := &Lease{Namespace: w.cluster.opt.Namespace, Name: w.opt.Lease, Holder: w.opt.Holder, Changed: func(leading bool) {
		w.metrics.leader.Set(map[bool]float64{true: 1}[leading])
	}}
	told := &told{seen: map[string]bool{}}
	w.cluster.Lead(ctx, lease, func(ctx context.Context) {
		api := &statusAPI{api: w.cluster.api, rate: flowcontrol.NewTokenBucketRateLimiter(statusRate, statusBurst), log: w.log, told: told}
		t := &term{
			writer: w, api: api, events: newRecorder(w, api), have: map[config.Key]uint64{}, blocked: map[*resource]time.Time{}, failed: map[config.Key]time.Time{},
			published: map[config.Key]bool{}, wake: w.news,
		}
		var recording sync.WaitGroup
		recording.Go(func() { t.events.run(ctx) })
		t.run(ctx)
		recording.Wait()
		w.metrics.pending.Set(0)
	})
}

// wanted returns what is to be said of each object now. What has changed since it was brought into
// force is left out: there will be news of it.
func (w *StatusWriter) wanted(addresses []ingressAddress) map[config.Key]*saying {
	w.mu.Lock()
	all := make(map[config.Key]*saying, len(w.applied))
	w.cluster.set.identities(maps.All(w.applied), func(key config.Key, id Identity) {
		if w.foreign[key] {
			return
		}
		all[key] = &saying{key: key, resource: resourceOf(key), identity: id}
	})
	conditions, served := w.conditions, w.served
	w.mu.Unlock()
	for _, c := range conditions {
		if s := all[c.Object]; s != nil {
			s.conditions = append(s.conditions, c)
		}
	}
	for key, s := range all {
		if s.resource.group == ingresses {
			s.served = served == nil || served[key]
			s.silent = served == nil || len(addresses) == 0
			s.addresses = addresses
		}
		s.finish()
	}
	return all
}

// resourceOf returns the resource of an object's kind; nil where none is watched everywhere.
func resourceOf(key config.Key) *resource {
	for _, r := range resources {
		if r.kind == key.Kind && r.group == key.Group {
			return r
		}
	}
	return nil
}
