package kube

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/sluicegate/sluice/config"
)

// arriving is an object as a source gets it.
func arriving(r *resource, namespace, name, manifest string) *item {
	i := &item{object: &config.Object{Key: r.key(namespace, name), Version: "v1", Source: config.Plain(manifest)}}
	i.Namespace, i.Name = namespace, name
	return i
}

// TestUnwanted: what ceases to be wanted at the very moment in which it arrives neither stays
// nor stands in the way of what takes its place.
func TestUnwanted(t *testing.T) {
	t.Parallel()
	const rounds, many = 100, 300
	c, err := New(Options{REST: &rest.Config{Host: "http://api.invalid"}, Namespace: "edge", Selector: "env=prod", Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	for round := range rounds {
		c.set = newSet()
		c.selected.Store(&map[string]bool{"shop": true})
		c.wholePods.Store(&map[string]bool{"edge": true})
		services, labelled, whole := c.source(resourceOf(config.Key{Kind: "Service"}), "", ""), c.source(podMetadata, "", ""), c.source(pod, "shop", "")
		ns := &namespaces{source: c.source(namespace, "", ""), labels: map[string]labels.Set{"shop": {"env": "prod"}}}
		var pods, list []any
		for i := range many {
			list = append(list, arriving(services.resource, "shop", fmt.Sprint(i), "{}"))
			pods = append(pods, arriving(podMetadata, "shop", fmt.Sprint(i), "labels"))
		}
		var arrive sync.WaitGroup
		arrive.Go(func() { must(t, services.Replace(list, "1")) })
		arrive.Go(func() { must(t, labelled.Replace(pods, "1")) })
		arrive.Go(func() {
			c.wholePods.Store(&map[string]bool{"edge": true, "shop": true})
			must(t, whole.Replace([]any{arriving(pod, "shop", "0", "whole")}, "2"))
		})
		arrive.Wait()
		for key, e := range c.set.kind("", "Pod") {
			if key.Name == "0" && string(e.object.Text()) != "whole" {
				t.Fatalf("round %d: of a Pod that was read in whole there are its labels", round)
			}
		}
		arrive.Go(func() { must(t, services.Replace(list, "3")) })
		arrive.Go(func() { must(t, ns.Delete(arriving(namespace, "", "shop", "{}"))) })
		arrive.Wait()
		for name, e := range c.set.kind("", "Service") {
			if e.object != nil {
				t.Fatalf("round %d: the Service %s of a namespace that has left is known", round, name)
			}
		}
	}
}
