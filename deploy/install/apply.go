package install

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Apply makes objects be as they are given, in the order in which they are given. It can be
// repeated: what is so already stays untouched. Fields of others stay as they are, but for
// those that are given here. Definitions that somebody else has installed are left alone.
//
// A dry run cannot check what is in a namespace that it has not made.
func (c *Cluster) Apply(ctx context.Context, objects []map[string]any) error {
	var list []state
	for _, object := range objects {
		o, err := normal(object)
		if err != nil {
			return err
		}
		st, err := c.look(ctx, o)
		if err != nil {
			return c.failed("get", o, err)
		}
		list = append(list, st)
	}
	// From here on something changes.
	for _, st := range list {
		o := st.wanted
		if o.GetKind() == namespaceKind.name {
			c.made[o.GetName()] = true
		}
		verb, err := c.applyOne(ctx, st)
		if c.dry && apierrors.IsNotFound(err) && c.made[o.GetNamespace()] {
			verb, err = "would be created", nil
		}
		if err != nil {
			return c.failed("patch", o, err)
		}
		c.say("  %-20s %s", verb, describe(o))
	}
	return nil
}

// state is an object as it is wanted, and as it was; nil where it was not.
type state struct{ wanted, before *unstructured.Unstructured }

// look finds out what is there of an object, and whether that may be changed.
func (c *Cluster) look(ctx context.Context, o *unstructured.Unstructured) (state, error) {
	resource, err := c.resource(o)
	if err != nil {
		return state{}, err
	}
	before, err := resource.Get(ctx, o.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return state{wanted: o}, nil
	case err != nil:
		return state{}, err
	}
	return state{o, before}, mine(before, o)
}

// normal returns an object with numbers and texts as the API's machinery has them.
func normal(object map[string]any) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	o := new(unstructured.Unstructured)
	return o, o.UnmarshalJSON(text)
}

// applyOne applies an object and says what came of it.
func (c *Cluster) applyOne(ctx context.Context, st state) (string, error) {
	o, before := st.wanted, st.before
	if before != nil && o.GetKind() == definitionKind.name && !appliedBy(before, FieldManager) {
		return "left as it is", nil // another program's, which may need it as it is
	}
	resource, err := c.resource(o)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	force := true
	options := metav1.PatchOptions{FieldManager: FieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict}
	if c.dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	after, err := resource.Patch(ctx, o.GetName(), types.ApplyPatchType, text, options)
	if err != nil {
		return "", err
	}
	verb := "configured"
	switch {
	case before == nil:
		verb = "created"
	case same(before, after):
		return "unchanged", nil
	}
	if c.dry {
		verb = "would be " + verb
	}
	return verb, nil
}

// mine returns an error where an object that is there belongs to another release.
func mine(before, o *unstructured.Unstructured) error {
	had, want := before.GetLabels(), o.GetLabels()
	by, release := had[ManagedByLabel], had[InstanceLabel]
	switch {
	case want[InstanceLabel] == "" || by == "" || by == FieldManager && release == want[InstanceLabel]:
		return nil
	case by == FieldManager:
		return fmt.Errorf("it belongs to the gateway %s: choose another name for this one (--set name=..., --set ingressClass.name=...)", release)
	}
	return fmt.Errorf("it was installed by %s, as %s: change it with that, or choose another name for this gateway (--set name=...)", by, release)
}

// appliedBy tells whether somebody has applied an object.
func appliedBy(o *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return f.Manager == manager })
}

// same tells whether two states of an object say the same, whoever wrote them and when.
func same(a, b *unstructured.Unstructured) bool {
	bare := func(o *unstructured.Unstructured) map[string]any {
		o = o.DeepCopy()
		o.SetManagedFields(nil)
		o.SetResourceVersion("")
		o.SetGeneration(0)
		unstructured.RemoveNestedField(o.Object, "status")
		return o.Object
	}
	return reflect.DeepEqual(bare(a), bare(b))
}

// Namespace is the object of a namespace.
func Namespace(name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}
}

// NamespaceExists tells whether there is a namespace.
func (c *Cluster) NamespaceExists(ctx context.Context, name string) (bool, error) {
	o, err := normal(Namespace(name))
	if err != nil {
		return false, err
	}
	resource, err := c.resource(o)
	if err != nil {
		return false, err
	}
	_, err = resource.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("namespace %s: %w", name, c.unreachable(err))
	}
	return true, nil
}
