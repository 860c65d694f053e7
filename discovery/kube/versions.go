package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// errNotServed says that the API server does not have a kind.
var errNotServed = errors.New("the API server does not have it")

// versions knows which versions of a kind the API server has. It is asked about groups that
// need not be installed, or not in every version; the others are part of every Kubernetes.
type versions struct {
	api rest.Interface
	// fresh is how long an answer is good for.
	fresh time.Duration

	mu     sync.Mutex
	groups map[string]*groupVersions
}

// groupVersions are what the API server has said of a group.
type groupVersions struct {
	until time.Time
	// served are the resources of each version.
	served map[string]map[string]bool
}

// of returns the best version of a resource, or errNotServed.
func (v *versions) of(ctx context.Context, r *resource) (string, error) {
	if len(r.versions) == 1 {
		return r.versions[0], nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	g := v.groups[r.group]
	if g == nil || time.Now().After(g.until) {
		var err error
		if g, err = v.ask(ctx, r.group); err != nil {
			return "", err
		}
		v.groups[r.group] = g
	}
	for _, version := range r.versions {
		if g.served[version][r.name] {
			return version, nil
		}
	}
	return "", errNotServed
}

// forget has the API server asked again.
func (v *versions) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.groups)
}

func (v *versions) ask(ctx context.Context, group string) (*groupVersions, error) {
	served := map[string]map[string]bool{}
	var g metav1.APIGroup
	if err := v.get(ctx, "/apis/"+group, &g); err != nil {
		return nil, err
	}
	for _, version := range g.Versions {
		var list metav1.APIResourceList
		if err := v.get(ctx, "/apis/"+group+"/"+version.Version, &list); err != nil {
			return nil, err
		}
		served[version.Version] = map[string]bool{}
		for _, r := range list.APIResources {
			served[version.Version][r.Name] = true
		}
	}
	return &groupVersions{time.Now().Add(v.fresh), served}, nil
}

// get reads an answer of the API server; what it does not have is empty.
func (v *versions) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := v.api.Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx).Raw()
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
