package istio

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// expiresSoon is how long before its end a certificate's author is told.
const expiresSoon = 14 * 24 * time.Hour

// secrets are the Secrets that hold TLS material. The Spec gets those that something in it
// names.
type secrets struct {
	now func() time.Time
	// byName are by "namespace/name".
	byName map[string]*secret
	// listed are those of the last Spec, named the names that it used.
	listed []*router.Secret
	named  map[string]struct{}
	// touched: a Secret came, went or changed since the last look.
	touched bool
	// turn is when what is said of a certificate in use changes next; zero for never.
	turn time.Time
}

// secret is one Secret with its last good material.
type secret struct {
	name     string
	object   *config.Object
	material *tlsMaterial
	// gone Secrets were removed while in use, or hold no TLS material any more. What they
	// held serves until nothing names them, or the process ends, as in Istio.
	gone bool
}

func newSecrets(now func() time.Time) *secrets {
	if now == nil {
		now = time.Now
	}
	return &secrets{now: now, byName: map[string]*secret{}}
}

// secret returns the last good TLS material of the Secret "namespace/name", nil where no
// such Secret is in force or it holds none. Its Certificate is empty where it holds no pair,
// its CA where it holds none.
func (c *Compiler) secret(name string) *router.Secret {
	if s := c.secrets.byName[name]; s != nil {
		return s.material.secret
	}
	return nil
}

// takeSecret takes a change of a Secret.
func (c *Compiler) takeSecret(ch change) {
	name := ch.key.Namespace + "/" + ch.key.Name
	before := c.secret(name)
	c.secrets.touched = true
	known := c.secrets.byName[name]
	material, _ := ch.typed.(*tlsMaterial)
	switch {
	case material.holds():
		if known != nil && reflect.DeepEqual(known.material.secret, material.secret) {
			material.secret = known.material.secret
		}
		c.secrets.byName[name] = &secret{name: name, object: ch.after, material: material}
	case known != nil && c.secrets.uses(name):
		known.gone = true
	default:
		delete(c.secrets.byName, name)
	}
	if useOf(before) != useOf(c.secret(name)) {
		c.secretChanged(name)
	}
}

// secretUse says what a Secret is good for.
type secretUse struct{ pair, ca bool }

func useOf(s *router.Secret) secretUse {
	if s == nil {
		return secretUse{}
	}
	return secretUse{len(s.Certificate) > 0, len(s.CA) > 0}
}

// secretChanged has those judged anew who name a Secret that came, went, or is good for
// something else now.
func (c *Compiler) secretChanged(name string) {
	for key := range c.rules.bySecret[name] {
		c.pending.rules[key] = struct{}{}
	}
	c.pending.gateways = c.pending.gateways || slices.ContainsFunc(slices.Collect(maps.Values(c.gateways)), func(g *gatewayConfig) bool {
		return slices.ContainsFunc(g.spec.Servers, func(s *networking.Server) bool { return slices.Contains(c.serverSecrets(g, s.GetTls()), name) })
	})
}

// judgeSecretless has those judged anew who name a Secret that came or went without anything
// that TLS can use: that it is not there is another thing to say than that it is of no use.
func (c *Compiler) judgeSecretless(key config.Key) {
	if name := key.Namespace + "/" + key.Name; c.secret(name) == nil {
		c.secretChanged(name)
	}
}

func isSecret(key config.Key) bool { return key.Group == "" && key.Kind == "Secret" }

// secretNames are the Secrets that a credentialName may take something from, in the order in
// which they are tried: the one named, and that with the authorities only. Istio's name in
// full, "kubernetes://shop", means the same as "shop".
func secretNames(namespace, credential string) []string {
	name := namespace + "/" + strings.TrimPrefix(credential, "kubernetes://")
	return []string{name, name + "-cacert"}
}

// noSecret says why a Secret cannot give what is asked of it; "" where it can.
func (c *Compiler) noSecret(name string, want secretUse) string {
	s, has := c.secret(name), useOf(c.secret(name))
	key := config.Key{Kind: "Secret"}
	key.Namespace, key.Name, _ = strings.Cut(name, "/")
	switch {
	case s == nil && c.objects.byKey.written(key) != nil:
		return fmt.Sprintf("%s holds no certificate that can be read: give it tls.crt and tls.key, or ca.crt", key)
	case s == nil && key.Namespace != c.options.Namespace:
		return fmt.Sprintf("there is no %s: write it, of type kubernetes.io/tls", key)
	case s == nil:
		return fmt.Sprintf("there is no %s: credentials are looked up in the namespace of the proxy", key)
	case want.pair && !has.pair:
		return fmt.Sprintf("%s holds no certificate with its key: give it tls.crt and tls.key", key)
	case want.ca && !has.ca:
		return fmt.Sprintf("%s holds no authorities: give it ca.crt, or write another Secret %s-cacert", key, key.Name)
	}
	return ""
}

// settleSecrets brings the Spec's Secrets in line with what its listeners and clusters name,
// and says what is wrong with them. It returns whether the list is another one.
func (c *Compiler) settleSecrets(listeners []*router.Listener, clusters []*router.Cluster) bool {
	s := c.secrets
	if len(s.byName) == 0 && len(s.listed) == 0 {
		s.named = nil
		return false
	}
	now, named := s.now(), namedSecrets(listeners, clusters)
	s.touched, s.turn = false, time.Time{}
	var listed []*router.Secret
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if known := s.byName[name]; known != nil {
			listed = append(listed, known.material.secret)
			c.conditions.replace(secretSource(name), known.judge(now))
			s.remember(known.turn(now))
		}
	}
	for name := range s.named {
		if _, still := named[name]; still {
			continue
		}
		c.conditions.replace(secretSource(name), nil)
		if known := s.byName[name]; known != nil && known.gone {
			delete(s.byName, name)
			c.secretChanged(name)
		}
	}
	s.named = named
	if slices.Equal(listed, s.listed) {
		return false
	}
	s.listed = listed
	return true
}

// uses says whether the last Spec names a Secret.
func (s *secrets) uses(name string) bool {
	_, ok := s.named[name]
	return ok
}

// due says whether there is something to settle though nothing else changed.
func (s *secrets) due() bool {
	return s.touched || !s.turn.IsZero() && !s.now().Before(s.turn)
}

func (s *secrets) remember(turn time.Time) {
	if !turn.IsZero() && (s.turn.IsZero() || turn.Before(s.turn)) {
		s.turn = turn
	}
}

// namedSecrets are the names of the Secrets that listeners and clusters name.
func namedSecrets(listeners []*router.Listener, clusters []*router.Cluster) map[string]struct{} {
	named := map[string]struct{}{}
	add := func(names ...string) {
		for _, name := range names {
			if name != "" {
				named[name] = struct{}{}
			}
		}
	}
	for _, l := range listeners {
		for _, chain := range l.Chains {
			if chain.TLS == nil {
				continue
			}
			for _, credential := range chain.TLS.Certificates {
				add(credential.Secret)
			}
			add(chain.TLS.Authorities.Secrets...)
		}
	}
	for _, k := range clusters {
		if k.TLS == nil {
			continue
		}
		if k.TLS.Certificate != nil {
			add(k.TLS.Certificate.Secret)
		}
		add(k.TLS.Authorities.Secrets...)
	}
	return named
}

// secretSource is where the conditions of a Secret in use come from: its name.
type secretSource string

// judge says what is wrong with a Secret in use that is not wrong with its text.
func (s *secret) judge(now time.Time) []config.Condition {
	if s.gone {
		c := newCondition(config.Warning, SecretGone, s.object, "",
			"it is gone, or holds no certificate any more: its last one serves on until this proxy restarts. Write the Secret again, or take its name out of what uses it")
		c.File, c.Line = "", 0
		return []config.Condition{c}
	}
	switch ends := s.material.expires; {
	case ends.IsZero() || now.Before(ends.Add(-expiresSoon)):
		return nil
	case now.Before(ends):
		return []config.Condition{newCondition(config.Warning, CertificateExpiring, s.object, s.material.field,
			fmt.Sprintf("the certificate ends at %s: replace it before, peers refuse it then", ends.UTC().Format(time.RFC3339)))}
	default:
		return []config.Condition{newCondition(config.Warning, CertificateExpired, s.object, s.material.field,
			fmt.Sprintf("the certificate ended at %s, and peers refuse it: replace it", ends.UTC().Format(time.RFC3339)))}
	}
}

// turn is when judge will say something else; zero for never.
func (s *secret) turn(now time.Time) time.Time {
	ends := s.material.expires
	switch {
	case s.gone || ends.IsZero() || !now.Before(ends):
		return time.Time{}
	case now.Before(ends.Add(-expiresSoon)):
		return ends.Add(-expiresSoon)
	}
	return ends
}
