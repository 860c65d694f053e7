package kube

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluicegate/sluice/config"
)

// saying is what is to be said of one object.
type saying struct {
	key        config.Key
	resource   *resource
	identity   Identity
	conditions []config.Condition
	// served is of an Ingress, and says whether it gets the addresses; silent, that these are not
	// known.
	served, silent bool
	addresses      []ingressAddress

	// sum is a hash of all of it, and worst the worst severity among the conditions.
	sum   uint64
	worst config.Severity
}

var severities = []config.Severity{"", config.Info, config.Warning, config.Error}

// finish puts the conditions in order, the worst first, and sums up.
func (s *saying) finish() {
	slices.SortStableFunc(s.conditions, func(a, b config.Condition) int {
		return cmp.Or(slices.Index(severities, b.Severity)-slices.Index(severities, a.Severity), cmp.Compare(a.Field, b.Field))
	})
	if len(s.conditions) > 0 {
		s.worst = s.conditions[0].Severity
	}
	h := xxhash.New()
	number := func(n int64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		_, _ = h.Write(b[:])
	}
	text := func(t string) {
		_, _ = h.WriteString(t)
		_, _ = h.Write([]byte{0})
	}
	text(string(s.identity.UID))
	number(s.identity.Generation)
	for _, c := range s.conditions {
		text(string(c.Severity))
		text(string(c.Reason))
		text(c.Field)
		text(c.Message)
	}
	text(strconv.FormatBool(s.served))
	if s.served && !s.silent {
		number(int64(len(s.addresses)))
		for _, a := range s.addresses {
			text(a.IP)
			text(a.Hostname)
		}
	}
	s.sum = h.Sum64()
}

// path is where the object is.
func (s *saying) path() []string {
	return []string{s.resource.path(s.identity.Version, s.key.Namespace), s.key.Name}
}

// identities calls each with what is known of objects, of those whose text is still that of the
// object given.
func (s *set) identities(objects iter.Seq2[config.Key, *config.Object], each func(config.Key, Identity)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, o := range objects {
		e := s.kinds[groupKind{key.Group, key.Kind}][types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]
		if e != nil && e.object == o && e.identity != nil {
			each(key, *e.identity)
		}
	}
}
