package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// fieldManager is who writes, in the API server's books.
const fieldManager = "sluice"

// requestTimeout bounds one request of a writer.
const requestTimeout = 10 * time.Second

// statusAPI is the API server as writers of statuses use it: at a bounded rate.
type statusAPI struct {
	api  rest.Interface
	rate flowcontrol.RateLimiter
	log  *slog.Logger
	told *told
}

// told are the refusals that the log has had.
type told struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first says whether a refusal is a new one.
func (t *told) first(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.seen[what]
	t.seen[what] = true
	return !was
}

// live is an object as the API server has it now.
type live struct {
	Metadata struct {
		Name            string    `json:"name"`
		Namespace       string    `json:"namespace"`
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
		Generation      int64     `json:"generation"`
	} `json:"metadata"`
	Status json.RawMessage `json:"status"`
}

// refusal is what the API server does not let this proxy do: to ask again soon is no use.
type refusal struct{ error }

// get reads what is at a path into a value.
func (a *statusAPI) get(ctx context.Context, into any, path ...string) error {
	return a.query(ctx, into, nil, path...)
}

// query is get with parameters.
func (a *statusAPI) query(ctx context.Context, into any, params url.Values, path ...string) error {
	if err := a.rate.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r := a.api.Get().AbsPath(path...).MaxRetries(0).SetHeader("Accept", "application/json")
	for name, values := range params {
		r.Param(name, values[0])
	}
	text, err := r.Do(ctx).Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// pageSize is how many objects one answer holds.
const pageSize = 500

// list calls each with all objects of a resource.
func (a *statusAPI) list(ctx context.Context, path string, each func(*live)) error {
	next := ""
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []*live `json:"items"`
		}
		params := url.Values{"limit": {strconv.Itoa(pageSize)}}
		if next != "" {
			params.Set("continue", next)
		}
		if err := a.query(ctx, &page, params, path); err != nil {
			return err
		}
		for _, o := range page.Items {
			each(o)
		}
		if next = page.Metadata.Continue; next == "" {
			return nil
		}
	}
}

// patch merges a value into the status of an object: only into the one, and the version of it, that
// o was read as.
func (a *statusAPI) patch(ctx context.Context, o *live, status any, path ...string) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": o.Metadata.UID, "resourceVersion": o.Metadata.ResourceVersion},
		"status":   status,
	})
	if err != nil {
		return err
	}
	if err := a.rate.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return a.api.Patch(types.MergePatchType).AbsPath(append(path, "status")...).MaxRetries(0).
		Param("fieldManager", fieldManager).Body(body).Do(ctx).Error()
}

// create makes an object.
func (a *statusAPI) create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return a.api.Post().AbsPath(path).MaxRetries(0).SetHeader("Content-Type", "application/json").
		Param("fieldManager", fieldManager).Body(body).Do(ctx).Error()
}

// refused notes that something may not be done or cannot be, tells of it once, and returns a
// refusal.
func (a *statusAPI) refused(verb, resource string, err error) error {
	if a.told.first(verb + " " + resource) {
		switch {
		case apierrors.IsForbidden(err):
			who := ""
			if match := user.FindStringSubmatch(err.Error()); match != nil {
				who = match[1]
			}
			a.log.Warn(fmt.Sprintf("this proxy may not %s %s (403): it goes without. To allow it: %s", verb, resource, grantVerb(verb, resource, who)))
		default:
			a.log.Warn(fmt.Sprintf("cannot %s %s: it goes without", verb, resource), "because", err)
		}
	}
	return refusal{err}
}

// isRefusal says whether there is no use in trying again soon.
func isRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r)
}

// grantVerb is the command that lets somebody do one thing with a resource.
func grantVerb(verb, resource, who string) string {
	name, subject := "sluice-gateway-"+verb+"-"+strings.NewReplacer(".", "-", "/", "-").Replace(resource), "--user="+cmp.Or(who, "NAME")
	if account, ok := strings.CutPrefix(who, "system:serviceaccount:"); ok {
		subject = "--serviceaccount=" + account
	}
	return fmt.Sprintf("kubectl create clusterrole %s --verb=%s --resource=%s && kubectl create clusterrolebinding %s --clusterrole=%s %s",
		name, verb, resource, name, name, subject)
}
