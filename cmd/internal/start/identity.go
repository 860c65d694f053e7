package start

import (
	"cmp"
	"maps"
	"math"
	"os"
	"regexp"

	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/telemetry"
	"github.com/sluicegate/sluice/telemetry/metrics"
)

// identityFlags say who the proxy speaks for in metrics, logs and traces.
type identityFlags struct{ workload, serviceAccount, cluster, mesh string }

func (f *identityFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.workload, "workload", "", "name of the workload that the proxy speaks for in metrics, logs and traces; empty for ISTIO_META_WORKLOAD_NAME, or else what the labels and POD_NAME say")
	flags.StringVar(&f.serviceAccount, "service-account", "", "service account that it runs as; empty for SERVICE_ACCOUNT")
	flags.StringVar(&f.cluster, "cluster-id", "", "id of the Kubernetes cluster; empty for ISTIO_META_CLUSTER_ID, or else Kubernetes")
	flags.StringVar(&f.mesh, "mesh-id", "", "id of the mesh; empty for ISTIO_META_MESH_ID, or else the trust domain")
}

// Identity returns who a proxy with these labels speaks for. What no flag says comes from
// Istio's variables of the environment, and from the labels. role is "router" for a gateway and
// "sidecar" beside a workload, as in the ids of Istio's proxies.
func (f *Flags) Identity(role string, labels map[string]string) telemetry.Identity {
	i := telemetry.Identity{
		Workload:       cmp.Or(f.identity.workload, os.Getenv("ISTIO_META_WORKLOAD_NAME"), workloadOf(labels, os.Getenv("POD_NAME"))),
		Namespace:      f.Namespace,
		Labels:         labels,
		ServiceAccount: cmp.Or(f.identity.serviceAccount, os.Getenv("SERVICE_ACCOUNT")),
		TrustDomain:    cmp.Or(os.Getenv("TRUST_DOMAIN"), "cluster.local"),
		Cluster:        cmp.Or(f.identity.cluster, os.Getenv("ISTIO_META_CLUSTER_ID"), "Kubernetes"),
	}
	if role == "router" && labels["app"] == "" && i.Workload != "" { // as Istio's gateways are labelled
		i.Labels = maps.Clone(labels)
		if i.Labels == nil {
			i.Labels = make(map[string]string)
		}
		i.Labels["app"] = i.Workload
	}
	i.Mesh = cmp.Or(f.identity.mesh, os.Getenv("ISTIO_META_MESH_ID"), i.TrustDomain)
	pod := cmp.Or(os.Getenv("POD_NAME"), i.Workload, "unknown")
	i.Node = role + "~" + cmp.Or(os.Getenv("INSTANCE_IP"), "127.0.0.1") + "~" + pod + "." + i.Namespace + "~" + i.Namespace + ".svc.cluster.local"
	return i
}

// checkBuckets reports what cannot be the bounds of histograms.
func checkBuckets(bounds []float64) error {
	if len(bounds) > metrics.MaxBuckets {
		return Misusef("--metrics-buckets: %d bounds, more than %d", len(bounds), metrics.MaxBuckets)
	}
	for i, b := range bounds {
		if !(b > 0) || math.IsInf(b, 0) || i > 0 && b <= bounds[i-1] {
			return Misusef("--metrics-buckets: %v must be a number above 0 and the one before it", b)
		}
	}
	return nil
}

// podSuffix is what a Deployment's ReplicaSet and the pod itself add to its name.
var podSuffix = regexp.MustCompile(`-[0-9a-f]{8,10}-[0-9a-z]{5}$`)

// workloadOf names a workload by its pod, or else by its labels as Istio's samples have them:
// productpage-v1, istio-ingressgateway.
func workloadOf(labels map[string]string, pod string) string {
	app, version, istio := labels["app"], labels["version"], labels["istio"]
	switch {
	case podSuffix.MatchString(pod):
		return podSuffix.ReplaceAllString(pod, "")
	case pod != "":
		return pod
	case app != "" && version != "":
		return app + "-" + version
	case app != "":
		return app
	case istio != "":
		return "istio-" + istio
	}
	return ""
}
