package kube_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/discovery/kube"
	"github.com/sluicegate/sluice/router"
)

// asServer has the test's binary serve a big cluster in a process of its own, so that its
// processor time is not counted.
const asServer = "SLUICE_TEST_BIG_CLUSTER"

func init() {
	if n := os.Getenv(asServer); n != "" {
		var services int
		fmt.Sscan(n, &services)
		serveBig(services)
		os.Exit(0)
	}
}

const managed = `"managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-11-21T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{},"f:version":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"7c2f2d5e-3f7c-4a58-9d4b-0c5c4d9a9f7e\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}}}}}]`

// bigLists are the lists of a cluster with a number of Services, ten pods behind each.
func bigLists(services int) map[string][]byte {
	lists := map[string][]byte{}
	list := func(resource string, n int, item func(w *bytes.Buffer, i int)) {
		var w bytes.Buffer
		w.WriteString(`{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1000"},"items":[`)
		for i := range n {
			if i > 0 {
				w.WriteByte(',')
			}
			item(&w, i)
		}
		w.WriteString("]}\n")
		lists[resource] = w.Bytes()
	}
	meta := func(w *bytes.Buffer, namespace, name, more string) {
		fmt.Fprintf(w, `{"metadata":{"name":%q,"namespace":%q,"uid":"7c2f2d5e-3f7c-4a58-9d4b-0c5c4d9a9f7e","resourceVersion":"999","creationTimestamp":"2026-11-21T12:00:00Z",%s,%s}`, name, namespace, more, managed)
	}
	space := func(i int) string { return fmt.Sprintf("team-%03d", i%100) }
	list("services", services, func(w *bytes.Buffer, i int) {
		meta(w, space(i), fmt.Sprintf("web-%05d", i), fmt.Sprintf(`"labels":{"app":"web-%05d"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"spec\":{\"ports\":[{\"port\":80}]}}\n"}`, i))
		fmt.Fprintf(w, `,"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}],"selector":{"app":"web-%05d"},"clusterIP":"10.%d.%d.%d","clusterIPs":["10.1.1.1"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}}`, i, 96+i>>16, i>>8&255, i&255)
	})
	list("endpointslices", services, func(w *bytes.Buffer, i int) {
		meta(w, space(i), fmt.Sprintf("web-%05d-abcde", i), fmt.Sprintf(`"generateName":"web-%05d-","labels":{"app":"web-%05d","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"web-%05d"},"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-11-21T12:00:00Z"}`, i, i, i))
		w.WriteString(`,"addressType":"IPv4","endpoints":[`)
		for j := range 10 {
			n := i*10 + j
			if j > 0 {
				w.WriteByte(',')
			}
			fmt.Fprintf(w, `{"addresses":["10.%d.%d.%d"],"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","namespace":%q,"name":"web-%05d-5d9c7b8f6d-%05d","uid":"7c2f2d5e-3f7c-4a58-9d4b-0c5c4d9a9f7e"},"nodeName":"node-%03d","zone":"zone-%d"}`,
				n>>16, n>>8&255, n&255, space(i), i, n, n%300, n%3)
		}
		w.WriteString(`],"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}`)
	})
	list("pods", services*10, func(w *bytes.Buffer, n int) {
		i := n / 10
		meta(w, space(i), fmt.Sprintf("web-%05d-5d9c7b8f6d-%05d", i, n), fmt.Sprintf(`"generateName":"web-%05d-5d9c7b8f6d-","labels":{"app":"web-%05d","pod-template-hash":"5d9c7b8f6d","version":"v%d"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-%05d-5d9c7b8f6d","uid":"7c2f2d5e-3f7c-4a58-9d4b-0c5c4d9a9f7e","controller":true,"blockOwnerDeletion":true}]`, i, i, n%2+1, i))
		w.WriteByte('}')
	})
	list("gateways", 1, func(w *bytes.Buffer, i int) {
		meta(w, "istio-system", "edge", `"labels":{}`)
		w.WriteString(`,"spec":{"selector":{"istio":"ingressgateway"},"servers":[{"port":{"number":80,"name":"http","protocol":"HTTP"},"hosts":["*"]}]}}`)
	})
	list("virtualservices", services/10, func(w *bytes.Buffer, i int) {
		meta(w, "team-000", fmt.Sprintf("app-%05d", i), `"labels":{}`)
		fmt.Fprintf(w, `,"spec":{"hosts":["app-%05d.example.com"],"gateways":["istio-system/edge"],"http":[`, i)
		for j := range 10 {
			n := i*10 + j
			fmt.Fprintf(w, `{"match":[{"uri":{"prefix":"/p%d"}}],"route":[{"destination":{"host":"web-%05d.%s.svc.cluster.local","port":{"number":80}}}]},`, j, n, space(n))
		}
		w.Truncate(w.Len() - 1)
		w.WriteString(`]}}`)
	})
	return lists
}

// changedSlice is what the watch of EndpointSlices says when one endpoint of a Service's ten is
// ready, or is not.
func changedSlice(version int, ready bool) string {
	return fmt.Sprintf(`{"type":"MODIFIED","object":{"metadata":{"name":"web-00007-abcde","namespace":"team-007","resourceVersion":"%d","labels":{"kubernetes.io/service-name":"web-00007"}},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.70"],"conditions":{"ready":%v}}],"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}}`+"\n",
		version, ready)
}

// serveBig serves the lists until its standard input ends, and says where. With each line of
// input, an endpoint becomes unready or ready again.
func serveBig(services int) {
	changes := make(chan string)
	lists := bigLists(services)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		switch {
		case resource == "networking.istio.io", resource == "telemetry.istio.io":
			io.WriteString(w, `{"versions":[{"version":"v1"}]}`)
		case resource == "v1":
			io.WriteString(w, `{"resources":[{"name":"gateways"},{"name":"virtualservices"},{"name":"destinationrules"},{"name":"serviceentries"},{"name":"workloadentries"},{"name":"sidecars"},{"name":"telemetries"}]}`)
		case r.URL.Query().Get("watch") != "":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			for resource == "endpointslices" {
				select {
				case change := <-changes:
					io.WriteString(w, change)
					w.(http.Flusher).Flush()
				case <-r.Context().Done():
					return
				}
			}
			<-r.Context().Done()
		case lists[resource] == nil || strings.Contains(r.URL.Path, "/namespaces/"):
			io.WriteString(w, `{"metadata":{"resourceVersion":"1000"},"items":[]}`)
		default:
			w.Write(lists[resource])
		}
	}))
	size := 0
	for _, list := range lists {
		size += len(list)
	}
	fmt.Println(l.Addr(), size)
	lines := bufio.NewScanner(os.Stdin)
	for n := 0; lines.Scan(); n++ {
		changes <- changedSlice(1001+n, n%2 == 1)
	}
}

// TestScale: 10,000 Services with 100,000 endpoints, all of them behind routes, are read,
// compiled and served for little memory and processor time; with the labels of all the Pods, too.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Run("endpoints", func(t *testing.T) { scale(t, config.Wants{}) })
	t.Run("and labels", func(t *testing.T) { scale(t, config.Wants{PodLabels: []string{""}}) })
}

func scale(t *testing.T, wants config.Wants) {
	const services = 10_000
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), fmt.Sprintf("%s=%d", asServer, services))
	stdin, _ := server.StdinPipe()
	stdout, _ := server.StdoutPipe()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer stdin.Close()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address, size, _ := strings.Cut(strings.TrimSpace(line), " ")

	proxy := istio.Options{Labels: map[string]string{"istio": "ingressgateway"}}
	changes := make(chan change, 1)
	var published atomic.Pointer[router.Table]
	p := pipeline.New(pipeline.Options{
		NewCompiler: func() pipeline.Compile {
			c := ingress.NewCompiler(ingress.Options{}, proxy)
			return func(d config.Delta) (*router.Spec, []config.Condition) {
				r := c.Apply(d)
				return r.Spec, r.Conditions
			}
		},
		Publish: published.Store,
	})
	runtime.GC()
	memory, processor, start := heap(), processorTime(), time.Now()
	c, err := kube.New(kube.Options{REST: &rest.Config{Host: "http://" + address}, Wants: func(config.Delta) config.Wants { return wants }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.SetPatience(time.Minute) // all is to come at once, also where the machine is slow
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	var read time.Duration
	go func() {
		ended <- c.Watch(ctx, func(d config.Delta) {
			read = processorTime() - processor
			p.Apply(d)
			changes <- change{len(d.Set), published.Load()}
		})
	}()
	first := <-changes
	n, table := first.objects, first.table
	spent, took := processorTime()-processor, time.Since(start)
	runtime.GC()
	used := heap() - memory
	t.Logf("%d objects, %s bytes: %v of processor (%v until they were read), %v by the clock, %d MB", n, size, spent, read, took, used>>20)
	if want := services*(2+10*len(wants.PodLabels)) + services/10 + 1; n != want || len(table.Spec().Clusters) < services {
		t.Errorf("%d objects, %d clusters, want %d, %d", n, len(table.Spec().Clusters), want, services)
	}
	measureChanges(t, stdin, changes)
	runtime.KeepAlive(p)
	stop()
	<-ended
}

// change is how many objects came, and the table that has them.
type change struct {
	objects int
	table   *router.Table
}

// measureChanges measures the time from the API server's event to the table that has it. Where
// other work takes the processors away, it does so again.
func measureChanges(t *testing.T, server io.Writer, changes <-chan change) {
	t.Helper()
	const cluster = "outbound|80||web-00007.team-007.svc.cluster.local"
	var worst time.Duration
	for range 5 {
		var all []time.Duration
		for n := range 50 {
			start := time.Now()
			fmt.Fprintln(server)
			table := (<-changes).table
			all = append(all, time.Since(start))
			i := slices.IndexFunc(table.Spec().Clusters, func(c *router.Cluster) bool { return c.Name == cluster })
			if i < 0 || len(table.Spec().Clusters[i].Endpoints) != n%2 {
				t.Fatalf("after change %d the cluster (%d) is %+v", n, i, table.Spec().Clusters[max(i, 0)].Endpoints)
			}
		}
		slices.Sort(all)
		t.Logf("from an event to the table: median %v, worst %v", all[len(all)/2], all[len(all)-1])
		if worst = all[len(all)*9/10]; worst <= 100*time.Millisecond {
			return
		}
	}
	t.Errorf("nine of ten took up to %v, each time, want less than 100 ms", worst)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
