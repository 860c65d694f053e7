package install

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Installed returns the objects of a release, in the order in which they can be removed.
// Only those count that were installed from here: Helm has releases of its own.
func (c *Cluster) Installed(ctx context.Context, release string) (list []*unstructured.Unstructured, err error) {
	selector := ManagedByLabel + "=" + FieldManager + "," + InstanceLabel + "=" + release
	for _, kind := range kinds {
		if kind == namespaceKind || kind == definitionKind {
			continue
		}
		found, err := c.dynamic.Resource(kind.resource()).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if kind.optional && apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %s with %s: %w", kind.plural, selector, c.unreachable(err))
		}
		for i := range found.Items {
			list = append(list, &found.Items[i])
		}
	}
	return list, nil
}

// Surplus returns those of a release's objects that are not among those wanted: what an
// earlier version or another profile had.
func Surplus(installed []*unstructured.Unstructured, wanted []map[string]any) []*unstructured.Unstructured {
	key := func(o *unstructured.Unstructured) string {
		return o.GroupVersionKind().GroupKind().String() + " " + o.GetNamespace() + "/" + o.GetName()
	}
	keep := make(map[string]bool)
	for _, w := range wanted {
		keep[key(&unstructured.Unstructured{Object: w})] = true
	}
	return slices.DeleteFunc(slices.Clone(installed), func(o *unstructured.Unstructured) bool { return keep[key(o)] })
}

// Remove deletes objects. What is gone already is no failure.
func (c *Cluster) Remove(ctx context.Context, objects []*unstructured.Unstructured) error {
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background}
	verb := "removed"
	if c.dry {
		options.DryRun, verb = []string{metav1.DryRunAll}, "would be removed"
	}
	for _, o := range objects {
		resource, err := c.resource(o)
		if err != nil {
			return err
		}
		if err := resource.Delete(ctx, o.GetName(), options); err != nil && !apierrors.IsNotFound(err) {
			return c.failed("delete", o, err)
		}
		c.say("  %-20s %s", verb, describe(o))
	}
	return nil
}

// Definitions returns those of the given definitions that the cluster has and, of each, how
// many objects there are: those that would go with it.
func (c *Cluster) Definitions(ctx context.Context, definitions []map[string]any) (list []*unstructured.Unstructured, objects int, err error) {
	for _, definition := range definitions {
		o, err := normal(definition)
		if err != nil {
			return nil, 0, err
		}
		resource, err := c.resource(o)
		if err != nil {
			return nil, 0, err
		}
		if _, err := resource.Get(ctx, o.GetName(), metav1.GetOptions{}); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, 0, c.failed("get", o, err)
		}
		list = append(list, o)
		plural, group, _ := strings.Cut(o.GetName(), ".")
		version, err := storedVersion(o)
		if err != nil {
			return nil, 0, err
		}
		found, err := c.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: plural}).List(ctx, metav1.ListOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, 0, fmt.Errorf("list %s: %w", o.GetName(), c.unreachable(err))
		}
		if err == nil {
			objects += len(found.Items)
		}
	}
	return list, objects, nil
}

// storedVersion returns the version in which a definition's objects are kept.
func storedVersion(o *unstructured.Unstructured) (string, error) {
	versions, _, err := unstructured.NestedSlice(o.Object, "spec", "versions")
	if err != nil {
		return "", err
	}
	for _, v := range versions {
		if v, ok := v.(map[string]any); ok && v["storage"] == true {
			return fmt.Sprint(v["name"]), nil
		}
	}
	return "", fmt.Errorf("%s has no version that is stored", o.GetName())
}

// Releases returns the releases that have pods.
func (c *Cluster) Releases(ctx context.Context) (list []string, err error) {
	for _, kind := range kinds {
		if kind.name != "Deployment" && kind.name != "DaemonSet" {
			continue
		}
		found, err := c.dynamic.Resource(kind.resource()).List(ctx, metav1.ListOptions{LabelSelector: ManagedByLabel + "=" + FieldManager})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.plural, c.unreachable(err))
		}
		for _, o := range found.Items {
			if release := o.GetLabels()[InstanceLabel]; release != "" {
				list = append(list, release)
			}
		}
	}
	return list, nil
}
