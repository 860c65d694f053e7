package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// meshFolder is what sidecars read. A sidecar has no client of Kubernetes: the test hands
// it the namespace's objects by a folder of the node.
const meshFolder = "/run/mesh"

// meshKinds are the objects that a sidecar routes by.
var meshKinds = []schema.GroupVersionResource{
	{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
	{Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"},
	{Version: "v1", Resource: "services"},
	{Version: "v1", Resource: "pods"},
	{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
}

// startMesh keeps the folder like the namespace default until the test ends.
func startMesh(t *testing.T) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(meshFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- followMesh(ctx, client) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// followMesh looks ten times a second, and writes what has changed.
func followMesh(ctx context.Context, client dynamic.Interface) error {
	var written []byte
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
		text, err := meshObjects(ctx, client)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			return err
		case !bytes.Equal(text, written):
			if err := replace(filepath.Join(meshFolder, "mesh.yaml"), text); err != nil {
				return err
			}
			written = text
		}
	}
}

// meshObjects returns the objects as YAML documents, each of which is one line of JSON.
func meshObjects(ctx context.Context, client dynamic.Interface) ([]byte, error) {
	var b bytes.Buffer
	for _, kind := range meshKinds {
		list, err := client.Resource(kind).Namespace("default").List(ctx, meta.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			text, err := json.Marshal(o.Object)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "---\n%s\n", text)
		}
	}
	return b.Bytes(), nil
}

// replace writes a file in one step.
func replace(path string, text []byte) error {
	next := filepath.Join(filepath.Dir(path), ".next")
	if err := os.WriteFile(next, text, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// inject gives the pods of a Deployment a sidecar, and sends what they call through it.
func inject(t *testing.T, app, version string) {
	t.Helper()
	patch := strings.NewReplacer("APP", app, "VERSION", version).Replace(`
spec:
  template:
    spec:
      initContainers:
      - name: sidecar
        image: sluicegate/sluice-sidecar:0.1.0
        restartPolicy: Always
        args: [--config=/mesh, "--workload-labels=app=APP,version=VERSION", --admin=]
        startupProbe: {httpGet: {path: /healthz/ready, port: 15022}, periodSeconds: 1, failureThreshold: 30}
        securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: mesh, mountPath: /mesh, readOnly: true}]
      containers:
      - name: APP
        env: [{name: http_proxy, value: "http://127.0.0.1:15001"}]
      volumes:
      - {name: mesh, hostPath: {path: ` + meshFolder + `}}
`)
	run(t, "", "kubectl", "patch", "deployment", app+"-"+version, "--patch", patch)
}
