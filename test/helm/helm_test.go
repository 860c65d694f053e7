// Package helm holds what deploy/chart renders to what Helm renders.
package helm

import (
	"fmt"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/deploy"
)

// cases are values over profiles. Those that --set has of lists are written in whole: there
// the two differ, as deploy.Choice says.
var cases = []string{
	"", "kind=DaemonSet", "service.enabled=false", "hostNetwork=true", "autoscaling.enabled=false,replicas=3", "metrics.enabled=false",
	"metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.a=b", "rbac.status=false,rbac.acme=true,rbac.allSecrets=true", "rbac.create=false",
	"snapshot.enabled=false", "watchNamespaces={a,b},rbac.secretNamespaces={c}", "flags.max-connections=10000000,flags.http3=true,flags.drain-time=1",
	"flags.max-connections=10000000,flags.http3=true,flags.port-map={80=8080}", "flags.discovery-selector=env=prod", "resources=null", "resources.limits=null",
	"rollout.maxSurge=25%,rollout.maxUnavailable=1", "podDisruptionBudget.minAvailable=2", "image.tag=1.2.3,image.pullSecrets={a,b}", `podAnnotations.a\.b/c=d,podLabels.e=f`,
	`nodeSelector.kubernetes\.io/os=linux`, "service.type=NodePort", "service.type=Nothing", "replicas=many", "nothing=1", "labels.istio=null,labels.a=b", "labels.istio=null",
	"ingressClass.enabled=false", "ingressClass.default=true", "shutdown.lameDuckSeconds=0", "service.externalTrafficPolicy=Local", "name=Upper", "shutdown=null", "service.ports={80}",
	"serviceAccount.create=false,serviceAccount.name=other", "topologySpread.enabled=false", "unprivilegedPorts=false", "extraArgs={--http3,--log-level=debug}", "autoscaling.targetMemory=70,autoscaling.targetCPU=null",
}

// TestRender: Helm and we make the same objects of the same values, or both refuse them.
func TestRender(t *testing.T) {
	t.Parallel()
	const dir = "../../deploy/charts/sluice-gateway"
	for _, profile := range deploy.Profiles() {
		for _, set := range cases {
			c, err := loader.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			want, helmErr := byHelm(c, profile, set)
			got, err := byUs(profile, set)
			switch {
			case (helmErr == nil) != (err == nil):
				t.Errorf("%s %q:\nHelm says %v\nwe say %v", profile, set, helmErr, err)
			case err == nil:
				compare(t, profile+" "+set, got, want)
			}
		}
	}
}

// objects are by kind, namespace and name.
type objects map[string]map[string]any

func (o objects) add(object map[string]any) {
	m := object["metadata"].(map[string]any)
	o[fmt.Sprint(object["kind"], " ", m["namespace"], "/", m["name"])] = object
}

func byUs(profile, set string) (objects, error) {
	choice := deploy.Choice{Profile: profile}
	if set != "" {
		choice.Sets = []string{set}
	}
	list, err := deploy.Render("istio-system", choice)
	out := make(objects)
	for _, m := range list {
		out.add(m.Object)
	}
	return out, err
}

func byHelm(c *helmchart.Chart, profile, set string) (objects, error) {
	text, err := os.ReadFile("../../deploy/profiles/" + profile + ".yaml")
	if err != nil {
		return nil, err
	}
	values := make(map[string]any)
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, err
	}
	if set != "" {
		if err := strvals.ParseInto(set, values); err != nil {
			return nil, err
		}
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "istio-system.istio-ingressgateway", Namespace: "istio-system"}, nil)
	if err != nil {
		return nil, err
	}
	// Helm would say that it is Helm.
	all["Release"].(map[string]any)["Service"] = deploy.Service
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	out := make(objects)
	for name, text := range files {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		for document := range strings.SplitSeq("\n"+text, "\n---") {
			var o map[string]any
			if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if len(o) > 0 {
				out.add(o)
			}
		}
	}
	return out, nil
}

func compare(t *testing.T, name string, got, want objects) {
	t.Helper()
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Errorf("%s: objects are\n%q\nHelm has\n%q", name, g, w)
	}
	for key, object := range want {
		if !reflect.DeepEqual(got[key], object) {
			g, _ := yaml.Marshal(got[key])
			w, _ := yaml.Marshal(object)
			t.Errorf("%s: %s is\n%s\nHelm has\n%s", name, key, g, w)
		}
	}
}
