package kube

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/acme/autocert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	managedBy, sluice = "app.kubernetes.io/managed-by", "sluice"
	// acmeEntry and acmeScope are annotations that tell people what a Secret is about.
	acmeEntry, acmeScope = "sluice.dev/acme-entry", "sluice.dev/acme-scope"
	// acmeData is the key of a Secret under which an entry is.
	acmeData = "entry"
	// maxACMEEntry bounds an entry. The API server takes Secrets of up to 1 MiB.
	maxACMEEntry = 512 << 10
	// tries is how often a write is tried that others are in the way of.
	tries = 5
)

// ACMEStore is what the replicas of a gateway have in common for certificates that are issued:
// Secrets of the gateway's namespace, and a Lease by which they agree on the one of them that
// orders. It is safe for concurrent use.
//
// There is a Secret for each entry, of type Opaque, with the label
// app.kubernetes.io/managed-by: sluice. Each is asked for by its name: the verbs get, create,
// update and delete are needed, list and watch are not. For leases, get, create and update.
// What the Secrets hold is in no error and no log.
type ACMEStore struct {
	cluster          *Cluster
	api              rest.Interface
	namespace, scope string
	leads            atomic.Bool
}

// ACME returns the store of a gateway. scope tells gateways of one namespace apart that serve
// other hosts, or ask another authority.
func (c *Cluster) ACME(scope string) *ACMEStore {
	return &ACMEStore{cluster: c, api: c.api, namespace: c.opt.Namespace, scope: scope}
}

// Leads says whether this replica is the one that orders.
func (s *ACMEStore) Leads() bool { return s.leads.Load() }

// Lead has this replica order whenever no other does, until ctx ends; then the next one need not
// wait.
func (s *ACMEStore) Lead(ctx context.Context) {
	host, _ := os.Hostname() // Without one, what is random tells replicas apart.
	lease := &Lease{Namespace: s.namespace, Name: s.name("issuer"), Holder: host + "_" + rand.Text()}
	s.cluster.Lead(ctx, lease, func(ctx context.Context) {
		s.leads.Store(true)
		<-ctx.Done()
		s.leads.Store(false)
	})
}

// opaque is a Secret.
type opaque struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Type            string            `json:"type"`
	Data            map[string][]byte `json:"data"`
}

// Get returns an entry, or autocert.ErrCacheMiss.
func (s *ACMEStore) Get(ctx context.Context, key string) ([]byte, error) {
	o, err := s.read(ctx, key)
	switch {
	case apierrors.IsNotFound(err):
		return nil, autocert.ErrCacheMiss
	case err != nil:
		return nil, s.explain(err)
	}
	data, ok := o.Data[acmeData]
	if !ok {
		return nil, autocert.ErrCacheMiss
	}
	return data, nil
}

// Put writes an entry over what is there.
func (s *ACMEStore) Put(ctx context.Context, key string, data []byte) (err error) {
	if err := checkEntry(key, data); err != nil {
		return err
	}
	for range tries {
		var o *opaque
		switch o, err = s.read(ctx, key); {
		case apierrors.IsNotFound(err):
			err = s.create(ctx, key, data)
		case err == nil && o.Metadata.Labels[managedBy] != sluice:
			return fmt.Errorf("the Secret %s/%s is not the gateway's: it has no label %s: %s; delete or rename it", s.namespace, o.Metadata.Name, managedBy, sluice)
		case err == nil:
			// With the version that was read: what another wrote since is not lost unseen.
			err = s.update(ctx, o, data)
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	return s.explain(err)
}

// Create writes an entry unless there is one.
func (s *ACMEStore) Create(ctx context.Context, key string, data []byte) error {
	if err := checkEntry(key, data); err != nil {
		return err
	}
	err := s.create(ctx, key, data)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return s.explain(err)
}

// Delete removes an entry, if there is one.
func (s *ACMEStore) Delete(ctx context.Context, key string) error {
	err := s.api.Delete().AbsPath(s.path(s.name(key))).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	return s.explain(err)
}

func (s *ACMEStore) read(ctx context.Context, key string) (*opaque, error) {
	text, err := s.api.Get().AbsPath(s.path(s.name(key))).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	o := &opaque{}
	if err := json.Unmarshal(text, o); err != nil {
		return nil, errors.New("the API server's answer is no Secret")
	}
	return o, nil
}

func (s *ACMEStore) create(ctx context.Context, key string, data []byte) error {
	o := &opaque{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		Metadata: metav1.ObjectMeta{
			Name: s.name(key), Namespace: s.namespace,
			Labels: map[string]string{managedBy: sluice}, Annotations: map[string]string{acmeEntry: key, acmeScope: s.scope},
		},
		Type: "Opaque", Data: map[string][]byte{acmeData: data},
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return s.api.Post().AbsPath(s.path("")).SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").Body(text).Do(ctx).Error()
}

func (s *ACMEStore) update(ctx context.Context, o *opaque, data []byte) error {
	o.Data = map[string][]byte{acmeData: data}
	o.APIVersion, o.Kind = "v1", "Secret"
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return s.api.Put().AbsPath(s.path(o.Metadata.Name)).SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").Body(text).Do(ctx).Error()
}

func (s *ACMEStore) path(name string) string {
	path := "/api/v1/namespaces/" + s.namespace + "/secrets"
	if name != "" {
		path += "/" + name
	}
	return path
}

// explain says what to do about a permission that is missing.
func (s *ACMEStore) explain(err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	return fmt.Errorf("%w: to keep ACME's certificates there, the gateway's service account needs the verbs get, create, update and delete for Secrets in the namespace %s (rbac.acme=true in the chart)", err, s.namespace)
}

func checkEntry(key string, data []byte) error {
	if len(data) > maxACMEEntry {
		return fmt.Errorf("the entry %s has %d bytes: a Secret of an ACME store takes %d", key, len(data), maxACMEEntry)
	}
	return nil
}

// name is the name of the Secret of an entry: one that people can read, made unlike all
// others by a hash.
func (s *ACMEStore) name(key string) string {
	return nameFor("sluice-acme-", key, s.scope+"\n"+key)
}

// nameFor returns the name of an object that belongs to what identity says, in which people
// find some words again.
func nameFor(prefix, words, identity string) string {
	sum := sha256.Sum256([]byte(identity))
	readable := []byte(strings.ToLower(words))
	for i, c := range readable {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			readable[i] = '-'
		}
	}
	return prefix + strings.Trim(string(readable[:min(len(readable), 200)]), "-") + "-" + hex.EncodeToString(sum[:8])
}
