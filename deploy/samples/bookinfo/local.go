package bookinfo

import (
	"bytes"
	"text/template"
)

// Manifests returns the Kubernetes objects that a cluster would have for the running
// application, as YAML: a Service for each service, and for each workload a Pod with
// its labels and an EndpointSlice that says where it listens. With them the sample's
// traffic manifests work on one machine as they stand.
func (a *App) Manifests() ([]byte, error) {
	var services []string
	seen := map[string]bool{}
	for _, e := range a.endpoints {
		if !seen[e.Workload.App] {
			seen[e.Workload.App] = true
			services = append(services, e.Workload.App)
		}
	}
	var b bytes.Buffer
	err := localManifests.Execute(&b, map[string]any{"Services": services, "Endpoints": a.endpoints, "Port": Port})
	return b.Bytes(), err
}

var localManifests = template.Must(template.New("local").Parse(`# Where the application's services listen at the moment, as a cluster would say it.
{{- range .Services}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{.}}
  namespace: default
  labels:
    app: {{.}}
    service: {{.}}
spec:
  selector:
    app: {{.}}
  ports:
  - name: http
    port: {{$.Port}}
{{- end}}
{{- range .Endpoints}}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{.Workload}}
  namespace: default
  labels:
    app: {{.Workload.App}}
    version: {{.Workload.Version}}
spec:
  serviceAccountName: bookinfo-{{.Workload.App}}
  containers:
  - name: {{.Workload.App}}
    ports:
    - name: http
      containerPort: {{.Address.Port}}
status:
  phase: Running
  podIP: {{.Address.Addr}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {{.Workload}}
  namespace: default
  labels:
    kubernetes.io/service-name: {{.Workload.App}}
addressType: IPv4
ports:
- name: http
  port: {{.Address.Port}}
endpoints:
- addresses: ["{{.Address.Addr}}"]
  conditions:
    ready: true
  targetRef:
    kind: Pod
    namespace: default
    name: {{.Workload}}
{{- end}}
`))
