package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/sluicegate/sluice/deploy/chart"
)

var update = flag.Bool("update", false, "rewrite golden files")

// kinds are what the chart makes, as the API server knows it.
var kinds = map[string]func() any{
	"v1 Service":        func() any { return new(corev1.Service) },
	"v1 ServiceAccount": func() any { return new(corev1.ServiceAccount) },
	"apps/v1 Deployment": func() any {
		return new(appsv1.Deployment)
	},
	"apps/v1 DaemonSet":                               func() any { return new(appsv1.DaemonSet) },
	"policy/v1 PodDisruptionBudget":                   func() any { return new(policyv1.PodDisruptionBudget) },
	"autoscaling/v2 HorizontalPodAutoscaler":          func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1 IngressClass":               func() any { return new(networkingv1.IngressClass) },
	"rbac.authorization.k8s.io/v1 ClusterRole":        func() any { return new(rbacv1.ClusterRole) },
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding": func() any { return new(rbacv1.ClusterRoleBinding) },
	"rbac.authorization.k8s.io/v1 Role":               func() any { return new(rbacv1.Role) },
	"rbac.authorization.k8s.io/v1 RoleBinding":        func() any { return new(rbacv1.RoleBinding) },
	// The Prometheus operator's own types are not at hand: its golden file is read by people.
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return new(map[string]any) },
}

// rendered are the objects of a chart, by kind and name.
type rendered map[string]any

// render renders a profile with values set, and decodes each object as strictly as an API
// server that is asked to.
func render(t *testing.T, profile string, sets ...string) rendered {
	t.Helper()
	list, err := renderProfile(profile, sets...)
	if err != nil {
		t.Fatalf("%s %q: %v", profile, sets, err)
	}
	out := make(rendered)
	for _, m := range list {
		text, err := json.Marshal(m.Object)
		if err != nil {
			t.Fatal(err)
		}
		kind := fmt.Sprint(m.Object["apiVersion"], " ", m.Object["kind"])
		decode, ok := kinds[kind]
		if !ok {
			t.Fatalf("%s makes an unknown kind, %s", m.Template, kind)
		}
		object := decode()
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(object); err != nil {
			t.Errorf("%s %q: %s: %v\n%s", profile, sets, m.Template, err, m.Text)
		}
		key := fmt.Sprint(m.Object["kind"], " ", m.Object["metadata"].(map[string]any)["name"])
		if namespace, ok := m.Object["metadata"].(map[string]any)["namespace"]; ok {
			key += fmt.Sprint(".", namespace)
		}
		if _, twice := out[key]; twice {
			t.Errorf("%s %q: %s is made twice", profile, sets, key)
		}
		out[key] = object
	}
	return out
}

func renderProfile(profile string, sets ...string) ([]chart.Manifest, error) {
	return Render("istio-system", Choice{Profile: profile, Sets: sets})
}

// TestProfiles: what each profile installs is in testdata, so that every change of it shows.
func TestProfiles(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{"daemonset": {"kind=DaemonSet", "service.type=ClusterIP", "service.ports[0].name=http,service.ports[0].port=80,service.ports[0].targetPort=8080,service.ports[0].hostPort=80"},
		"everything": {"metrics.serviceMonitor.enabled=true", "rbac.acme=true", "rbac.secretNamespaces={shop}", "watchNamespaces={shop,blog}", "ingressClass.default=true", "flags.http3=true", `flags.access-log=-`, "flags.discovery-selector=env=prod", "autoscaling.targetMemory=90"}}
	for _, profile := range Profiles() {
		cases[profile] = nil
	}
	for name, sets := range cases {
		profile := name
		if sets != nil {
			profile = DefaultProfile
		}
		render(t, profile, sets...)
		list, err := renderProfile(profile, sets...)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, m := range list {
			b.WriteString("---\n" + m.Text)
		}
		file := filepath.Join("testdata", name+".yaml")
		want, err := os.ReadFile(file)
		if *update {
			err = os.WriteFile(file, []byte(b.String()), 0o644)
		} else if err == nil && string(want) != b.String() {
			t.Errorf("%s differs from what is rendered (go test ./deploy -update rewrites it)", file)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// TestCombinations: whatever is switched on or off, objects are made that an API server
// takes, and none twice.
func TestCombinations(t *testing.T) {
	t.Parallel()
	switches := []string{"kind=DaemonSet", "service.enabled=false", "hostNetwork=true", "autoscaling.enabled=false", "metrics.enabled=false",
		"metrics.serviceMonitor.enabled=true", "rbac.status=false", "snapshot.enabled=false", "watchNamespaces={a,b}"}
	for bits := range 1 << len(switches) {
		var sets []string
		for i, s := range switches {
			if bits>>i&1 == 1 {
				sets = append(sets, s)
			}
		}
		render(t, DefaultProfile, sets...)
	}
	for _, set := range []string{
		"rbac.create=false", "serviceAccount.create=false", "serviceAccount.name=other", "unprivilegedPorts=false",
		"podDisruptionBudget.minAvailable=1", "podDisruptionBudget.minAvailable=50%", "podDisruptionBudget.enabled=false",
		"rollout.maxSurge=25%", "rollout.maxUnavailable=1", "priorityClassName=system-cluster-critical", "image.pullSecrets={a,b}", "image.tag=1.2.3",
		"service.type=NodePort,service.ports[0].name=a,service.ports[0].port=80,service.ports[0].nodePort=31380",
		"service.externalTrafficPolicy=Local,service.ipFamilyPolicy=PreferDualStack,service.loadBalancerClass=a/b,service.loadBalancerIP=192.0.2.1",
		"service.loadBalancerSourceRanges={10.0.0.0/8}", `service.annotations.a\.example/b=c`,
		"topologySpread.enabled=false", "topologySpread.constraints[0].maxSkew=1,topologySpread.constraints[0].topologyKey=a,topologySpread.constraints[0].whenUnsatisfiable=DoNotSchedule",
		"dnsPolicy=Default", `nodeSelector.a\.example/b=c`, "tolerations[0].operator=Exists", "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=a,affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists",
		`podAnnotations.a=b,podLabels.c=d`, "volumes[0].name=a,volumes[0].emptyDir.medium=Memory,volumeMounts[0].name=a,volumeMounts[0].mountPath=/a", "env[0].name=GOGC,env[0].value=off",
		"extraArgs={--http3}", "flags.max-connections=10000000", "flags.port-map={80=8080,443=8443}", "rbac.allSecrets=true", "rbac.secretNamespaces={a}", "ingressClass.enabled=false",
		"autoscaling.behavior.scaleDown.stabilizationWindowSeconds=60", "serviceAccount.annotations.a=b", "metrics.annotations=false", "resources=null", "resources.limits.cpu=2",
	} {
		render(t, DefaultProfile, set)
	}
}

// TestPod: what the pod may do, and how it ends.
func TestPod(t *testing.T) {
	t.Parallel()
	d := render(t, DefaultProfile, "flags.max-connections=10000000")["Deployment istio-ingressgateway.istio-system"].(*appsv1.Deployment)
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if want := int64(10 + 30 + 5); *pod.TerminationGracePeriodSeconds != want {
		t.Errorf("the grace period is %d s, want %d: lame duck, drain and a margin", *pod.TerminationGracePeriodSeconds, want)
	}
	for _, arg := range []string{"--lame-duck=10s", "--drain=30s", "--max-connections=10000000", "--labels=istio=ingressgateway"} {
		if !slices.Contains(c.Args, arg) {
			t.Errorf("%s is missing in %q", arg, c.Args)
		}
	}
	s := c.SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod may do more than it needs: %+v %+v", pod.SecurityContext, s)
	}
	if got := fmt.Sprint(s.Capabilities.Drop, s.Capabilities.Add); got != "[ALL] [NET_BIND_SERVICE]" {
		t.Errorf("capabilities: %s", got)
	}
	if u := d.Spec.Strategy.RollingUpdate; u.MaxSurge.String() != "1" || u.MaxUnavailable.String() != "0" {
		t.Errorf("a rollout would take away what serves: %+v", u)
	}
	if d.Spec.Replicas != nil {
		t.Error("the number of replicas is the autoscaler's business")
	}
	service := render(t, DefaultProfile)["Service istio-ingressgateway.istio-system"].(*corev1.Service)
	for k, v := range service.Spec.Selector {
		if d.Spec.Template.Labels[k] != v {
			t.Errorf("the Service selects %s=%s, the pods have %v", k, v, d.Spec.Template.Labels)
		}
	}
	ports := make(map[int32]bool)
	for _, p := range c.Ports {
		ports[p.ContainerPort] = true
	}
	for _, p := range service.Spec.Ports {
		if !ports[p.TargetPort.IntVal] {
			t.Errorf("port %d leads to %s, which the container does not have", p.Port, p.TargetPort.String())
		}
	}
	for _, probe := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
		if probe.HTTPGet.Port.StrVal != "status" {
			t.Errorf("a probe asks at %s", probe.HTTPGet.Port.String())
		}
	}
}

// TestPermissions: the gateway may read what it serves and nothing else. A verb or resource
// that is added here has a reason in docs/install.md.
func TestPermissions(t *testing.T) {
	t.Parallel()
	grants := func(rules []rbacv1.PolicyRule) (list []string) {
		for _, r := range rules {
			if slices.Contains(r.APIGroups, "*") || slices.Contains(r.Resources, "*") || slices.Contains(r.Verbs, "*") {
				t.Errorf("a rule grants everything: %v", r)
			}
			if slices.Contains(r.Resources, "configmaps") && !slices.Equal(r.ResourceNames, []string{"istio"}) {
				t.Errorf("ConfigMaps beside the mesh's can be read: %v", r)
			}
			for _, resource := range r.Resources {
				list = append(list, resource+" "+strings.Join(r.Verbs, ","))
			}
		}
		return list
	}
	plain := render(t, DefaultProfile)
	cluster := grants(plain["ClusterRole istio-ingressgateway-istio-system"].(*rbacv1.ClusterRole).Rules)
	for _, g := range cluster {
		resource, verbs, _ := strings.Cut(g, " ")
		switch {
		case resource == "secrets":
			t.Errorf("Secrets of all namespaces can be read")
		case strings.HasSuffix(resource, "/status"), resource == "events":
		case verbs != "get,list,watch":
			t.Errorf("%s may be changed: %s", resource, verbs)
		}
	}
	if own := grants(plain["Role istio-ingressgateway.istio-system"].(*rbacv1.Role).Rules); slices.ContainsFunc(own, func(g string) bool {
		return strings.HasPrefix(g, "secrets ") && strings.Contains(g, "create")
	}) {
		t.Errorf("Secrets may be written without ACME: %q", own)
	}

	narrow := render(t, DefaultProfile, "watchNamespaces={shop}", "rbac.nodes=false")
	for _, g := range grants(narrow["ClusterRole istio-ingressgateway-istio-system"].(*rbacv1.ClusterRole).Rules) {
		if resource, _, _ := strings.Cut(g, " "); !slices.Contains([]string{"ingressclasses"}, resource) {
			t.Errorf("with watchNamespaces, %s of all namespaces can be read", resource)
		}
	}
	if _, ok := narrow["Role istio-ingressgateway-istio-system.shop"]; !ok {
		t.Errorf("the namespace that is watched cannot be read: %q", slices.Sorted(maps.Keys(narrow)))
	}
}

// TestProfilesDiffer: each profile is what its name promises.
func TestProfilesDiffer(t *testing.T) {
	t.Parallel()
	minimal, demo := render(t, "minimal"), render(t, "demo")
	for _, kind := range []string{"HorizontalPodAutoscaler istio-ingressgateway.istio-system", "PodDisruptionBudget istio-ingressgateway.istio-system", "IngressClass sluice"} {
		if _, ok := minimal[kind]; ok {
			t.Errorf("minimal has %s", kind)
		}
		if _, ok := render(t, DefaultProfile)[kind]; !ok {
			t.Errorf("default lacks %s", kind)
		}
	}
	if s := minimal["Service istio-ingressgateway.istio-system"].(*corev1.Service); s.Spec.Type != corev1.ServiceTypeClusterIP {
		t.Errorf("minimal's Service is a %s", s.Spec.Type)
	}
	if s := demo["Service istio-ingressgateway.istio-system"].(*corev1.Service); s.Spec.Type != corev1.ServiceTypeNodePort || s.Spec.Ports[0].NodePort != 31380 {
		t.Errorf("demo's Service: %+v", s.Spec)
	}
}

// TestRefusedValues: the failure says which value, and what it may be.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"service.tpye=NodePort":              "service.tpye: there is no such value; type is near it",
		"service.type=nodePort":              `service.type: must be "NodePort" or "LoadBalancer" or "ClusterIP", is "nodePort"`,
		"replicas=many":                      `replicas: must be integer, is string ("many")`,
		"service.ports[0].port=0":            "service.ports[0].port: must be at least 1, is 0",
		"service.ports[2].port=1":            "service.ports[2].name: is missing",
		"service.ports={80}":                 "service.ports[0]: must be object",
		"flags.access_log=-":                 "flags.access_log: there is no such value; access-log is near it",
		"name=Gateway":                       `name: "Gateway" does not match`,
		"shutdown=null":                      "shutdown: is missing",
		"labels.istio=null":                  "labels: must have at least 1",
		"shutdown.lameDuckSeconds=null":      "shutdown.lameDuckSeconds: is missing",
		"flags.drain=5s":                     "flags.drain: there is no such value",
		"podDisruptionBudget.minAvailable=a": "podDisruptionBudget.minAvailable:",
	} {
		if _, err := renderProfile(DefaultProfile, set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", set, err, want)
		}
	}
}
