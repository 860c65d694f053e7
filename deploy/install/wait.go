package install

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Wait returns once every object of a kind that takes time works: definitions are
// established, and the pods of workloads are ready and are new ones. Every change of the
// state is a line. Where ctx ends before, the error says how far it is.
func (c *Cluster) Wait(ctx context.Context, objects []map[string]any) error {
	for _, object := range objects {
		o, err := normal(object)
		if err != nil {
			return err
		}
		if state := states[o.GetKind()]; state != nil && !c.dry {
			if err := c.waitFor(ctx, o, state); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cluster) waitFor(ctx context.Context, o *unstructured.Unstructured, state func(map[string]any) (string, bool)) error {
	resource, err := c.resource(o)
	if err != nil {
		return err
	}
	said := ""
	for {
		now, err := resource.Get(ctx, o.GetName(), metav1.GetOptions{})
		words, done := "", false
		switch {
		case err == nil:
			words, done = state(now.Object)
		case ctx.Err() == nil && !nearlyOver(ctx):
			return c.failed("get", o, err)
		}
		if done {
			if said != "" {
				c.say("  %-20s %s", "ready", describe(o))
			}
			return nil
		}
		if words != said && words != "" {
			c.say("  %-20s %s: %s", "waiting", describe(o), words)
			said = words
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s; `kubectl -n %s describe pods` says why", describe(o), said, o.GetNamespace())
		case <-time.After(c.pause):
		}
	}
}

// nearlyOver tells whether the client may refuse to ask, since its bound of requests a second
// would let it do so too late only: then the state that was seen last is what counts.
func nearlyOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < time.Second
}

// states say of a kind's objects how far they are, and whether that is the end.
var states = map[string]func(map[string]any) (string, bool){
	"CustomResourceDefinition": established,
	"Deployment":               deploymentState,
	"DaemonSet":                daemonSetState,
}

func established(o map[string]any) (string, bool) {
	conditions, _, _ := unstructured.NestedSlice(o, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Established" && c["status"] == "True" {
			return "", true
		}
	}
	return "it is not served yet", false
}

func deploymentState(o map[string]any) (string, bool) {
	number := numbers(o)
	wanted, ok, _ := unstructured.NestedInt64(o, "spec", "replicas")
	if !ok {
		wanted = 1
	}
	switch updated, ready, all := number("updatedReplicas"), number("availableReplicas"), number("replicas"); {
	case number("observedGeneration") < generation(o):
		return "the change has not been seen yet", false
	case updated < wanted || ready < wanted:
		return fmt.Sprintf("%d of %d pods are ready, %d are new", ready, wanted, updated), false
	case all > updated:
		return fmt.Sprintf("%d old pods are still there", all-updated), false
	}
	return "", true
}

func daemonSetState(o map[string]any) (string, bool) {
	number := numbers(o)
	switch wanted, updated, ready := number("desiredNumberScheduled"), number("updatedNumberScheduled"), number("numberAvailable"); {
	case number("observedGeneration") < generation(o):
		return "the change has not been seen yet", false
	case updated < wanted || ready < wanted:
		return fmt.Sprintf("%d of %d nodes have a pod that is ready, %d a new one", ready, wanted, updated), false
	}
	return "", true
}

// numbers reads fields of an object's status.
func numbers(o map[string]any) func(string) int64 {
	return func(field string) int64 {
		n, _, _ := unstructured.NestedInt64(o, "status", field)
		return n
	}
}

func generation(o map[string]any) int64 {
	n, _, _ := unstructured.NestedInt64(o, "metadata", "generation")
	return n
}
