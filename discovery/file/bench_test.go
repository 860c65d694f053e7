package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
)

// route is a VirtualService of an ordinary size.
func route(i int, prefix string) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: route-%05d
  namespace: team-%02d
spec:
  hosts:
  - host-%05d.example.com
  gateways:
  - istio-system/edge
  http:
  - name: main
    match:
    - uri:
        prefix: %s
      headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: service-%02d.default.svc.cluster.local
        subset: v2
        port:
          number: 9080
      weight: 90
    - destination:
        host: service-%02d.default.svc.cluster.local
        subset: v1
        port:
          number: 9080
      weight: 10
`, i, i%100, i, prefix, i%50, i%50)
}

// layout writes n routes, as one file each or all in one, and returns what writes one
// of them anew.
func layout(b *testing.B, dir string, n int, one bool) (edit func(i, version int)) {
	if !one {
		path := func(i int) string {
			return filepath.Join(dir, fmt.Sprintf("team-%02d/route-%05d.yaml", i%100, i))
		}
		for i := range n {
			write(b, path(i), route(i, "/"))
		}
		return func(i, version int) { write(b, path(i), route(i, fmt.Sprintf("/%d", version))) }
	}
	docs := make([]string, n)
	for i := range docs {
		docs[i] = route(i, "/")
	}
	path := filepath.Join(dir, "all.yaml")
	all := func() { write(b, path, strings.Join(docs, "---\n")) }
	all()
	return func(i, version int) {
		docs[i] = route(i, fmt.Sprintf("/%d", version))
		all()
	}
}

// BenchmarkEdit measures the time from the end of a write of one route among many to
// its Delta, of which 15 ms are the quiet that Watch waits for.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{100, 10000} {
		for _, one := range []bool{false, true} {
			b.Run(fmt.Sprintf("objects=%d/files=%s", n, map[bool]string{false: "many", true: "one"}[one]), func(b *testing.B) {
				dir := b.TempDir()
				edit := layout(b, dir, n, one)
				got := make(chan config.Delta, 1)
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error)
				go func() {
					ended <- Watch(ctx, Options{Dirs: []string{dir}}, func(d config.Delta) { got <- d })
				}()
				if d := <-got; len(d.Set) != n || len(d.Conditions) != 0 {
					b.Fatalf("%d objects, conditions %v", len(d.Set), d.Conditions)
				}
				var worst, sum time.Duration
				version := 0
				b.ResetTimer()
				for b.Loop() {
					version++
					edit(version*7919%n, version)
					start := time.Now()
					if d := <-got; len(d.Set) != 1 || len(d.Removed) != 0 {
						b.Fatalf("one edit came as %d set, %d removed", len(d.Set), len(d.Removed))
					}
					took := time.Since(start)
					worst, sum = max(worst, took), sum+took
				}
				b.StopTimer()
				b.ReportMetric(float64(sum.Microseconds())/1000/float64(version), "ms/edit")
				b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
				cancel()
				<-ended
			})
		}
	}
}

// BenchmarkSwap measures the time from the exchange of a whole folder of 10,000 files,
// one of which differs, to its Delta. Every file is new to the file system, so that
// every one is read.
func BenchmarkSwap(b *testing.B) {
	top := b.TempDir()
	dir := filepath.Join(top, "conf")
	layout(b, dir, 10000, false)
	got := make(chan config.Delta, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Watch(ctx, Options{Dirs: []string{dir}}, func(d config.Delta) { got <- d }) }()
	<-got
	version := 0
	for b.Loop() {
		b.StopTimer()
		version++
		must(b, os.CopyFS(dir+".new", os.DirFS(dir)))
		path := filepath.Join(dir+".new", "team-07/route-00007.yaml")
		write(b, path, route(7, fmt.Sprintf("/%d", version)))
		b.StartTimer()
		must(b, os.Rename(dir, dir+".old"))
		must(b, os.Rename(dir+".new", dir))
		if d := <-got; len(d.Set) != 1 || len(d.Removed) != 0 {
			b.Fatalf("one edit came as %d set, %d removed", len(d.Set), len(d.Removed))
		}
		b.StopTimer()
		must(b, os.RemoveAll(dir+".old"))
		b.StartTimer()
	}
	cancel()
	<-ended
}

// BenchmarkFirstLoad measures reading everything, and looking at everything again
// when nothing has changed.
func BenchmarkFirstLoad(b *testing.B) {
	for _, one := range []bool{false, true} {
		b.Run(fmt.Sprintf("files=%s", map[bool]string{false: "many", true: "one"}[one]), func(b *testing.B) {
			dir := b.TempDir()
			layout(b, dir, 10000, one)
			for b.Loop() {
				if d, err := Load(dir); err != nil || len(d.Set) != 10000 {
					b.Fatal(len(d.Set), err)
				}
			}
		})
	}
}

func BenchmarkRescan(b *testing.B) {
	dir := b.TempDir()
	layout(b, dir, 10000, false)
	past := time.Now().Add(-time.Hour)
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error { return os.Chtimes(path, past, past) })
	w := newWatcher(Options{Dirs: []string{dir}}.withDefaults(), func(config.Delta) {})
	w.first()
	for b.Loop() {
		w.pending.all = true
		w.evaluate()
		if len(w.staged) != 0 {
			b.Fatal("something changed")
		}
	}
}
