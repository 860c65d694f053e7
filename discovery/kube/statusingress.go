package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
)

// addressesFresh is how long the gateway's addresses are good for.
const addressesFresh = 30 * time.Second

// ingressAddress is where clients reach an Ingress: one of both.
type ingressAddress struct {
	IP       string `json:"ip,omitempty"`
	Hostname string `json:"hostname,omitempty"`
}

// addressOf reads an IP address or a host name.
func addressOf(s string) ingressAddress {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ingressAddress{IP: ip.String()}
	}
	return ingressAddress{Hostname: s}
}

// sayIngress gives an Ingress that is served the gateway's addresses, and takes them from one that
// was and is not any more, unless others have written there.
func (t *term) sayIngress(ctx context.Context, s *saying, o *live) error {
	now, want := readAddresses(o.Status), []ingressAddress(nil)
	had := t.published[s.key]
	switch {
	case s.served && !s.silent:
		want = s.addresses
	case s.silent || !had || !slices.Equal(now, t.addresses):
		want = now
	}
	if !slices.Equal(now, want) {
		status := map[string]any{"loadBalancer": map[string]any{"ingress": want}}
		if written, err := t.patch(ctx, s, o, status); !written {
			return err
		}
	}
	t.have[s.key] = s.sum
	delete(t.published, s.key)
	if s.served && (had || !s.silent) {
		t.published[s.key] = true
	}
	t.events.tell(s, false)
	return nil
}

// readAddresses returns the addresses in an Ingress' status, or a Service's.
func readAddresses(status json.RawMessage) []ingressAddress {
	var s struct {
		LoadBalancer struct {
			Ingress []ingressAddress `json:"ingress"`
		} `json:"loadBalancer"`
	}
	if len(status) > 0 && json.Unmarshal(status, &s) != nil {
		return nil
	}
	return s.LoadBalancer.Ingress
}

// service is a Service, as far as it says where it is reached.
type service struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Type         string            `json:"type"`
		ClusterIP    string            `json:"clusterIP"`
		ExternalIPs  []string          `json:"externalIPs"`
		ExternalName string            `json:"externalName"`
		Selector     map[string]string `json:"selector"`
	} `json:"spec"`
	Status json.RawMessage `json:"status"`
}

// findAddresses finds where clients reach the gateway. While that is not known, Ingresses keep what
// they have.
func (t *term) findAddresses(ctx context.Context) error {
	if !t.addressed.IsZero() && time.Since(t.addressed) < addressesFresh {
		return nil
	}
	found, err := t.lookUpAddresses(ctx)
	if err != nil && !isRefusal(err) {
		return err
	}
	t.addressed = time.Now()
	if err != nil || len(found) == 0 {
		return nil
	}
	if !slices.Equal(found, t.addresses) {
		t.writer.log.Info("Ingresses get the gateway's addresses", "addresses", found)
	}
	t.addresses = found
	return nil
}

func (t *term) lookUpAddresses(ctx context.Context) (found []ingressAddress, err error) {
	if len(t.writer.opt.Addresses) > 0 {
		for _, a := range t.writer.opt.Addresses {
			found = append(found, addressOf(a))
		}
		return found, nil
	}
	s, err := t.service(ctx)
	if s == nil || err != nil {
		return nil, err
	}
	return t.addressesOf(ctx, s)
}

// service returns the Service that clients address; nil where there is none.
func (t *term) service(ctx context.Context) (*service, error) {
	if namespace, name, named := strings.Cut(t.writer.opt.Service, "/"); named {
		s := &service{}
		err := t.api.get(ctx, s, servicePath(namespace), name)
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			return nil, t.api.refused("get", "services", err)
		}
		return s, err
	}
	if len(t.writer.opt.Labels) == 0 {
		return nil, nil
	}
	var list struct {
		Items []*service `json:"items"`
	}
	err := t.api.get(ctx, &list, servicePath(t.writer.cluster.opt.Namespace))
	if apierrors.IsForbidden(err) {
		return nil, t.api.refused("list", "services", err)
	}
	var best *service
	for _, s := range list.Items {
		if s.selects(t.writer.opt.Labels) && (best == nil || s.rank() > best.rank()) {
			best = s
		}
	}
	return best, err
}

func servicePath(namespace string) string { return "/api/v1/namespaces/" + namespace + "/services" }

func (s *service) selects(own map[string]string) bool {
	return len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(own))
}

// rank is how likely clients from outside address a Service.
func (s *service) rank() int {
	switch {
	case s.Spec.Type == "LoadBalancer":
		return 3
	case s.Spec.Type == "NodePort":
		return 2
	case s.Spec.ClusterIP != "None":
		return 1
	}
	return 0
}

// addressesOf returns where clients reach a Service: what its load balancer has; else its external
// addresses; else, for a NodePort, the nodes that the gateway runs on; else its own address.
func (t *term) addressesOf(ctx context.Context, s *service) (found []ingressAddress, err error) {
	if s.Spec.Type == "ExternalName" {
		return []ingressAddress{addressOf(s.Spec.ExternalName)}, nil
	}
	if s.Spec.Type == "LoadBalancer" {
		found = readAddresses(s.Status)
	}
	for _, ip := range s.Spec.ExternalIPs {
		found = append(found, addressOf(ip))
	}
	if len(found) == 0 && s.Spec.Type == "NodePort" {
		if found, err = t.nodes(ctx, s); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 && s.Spec.Type != "LoadBalancer" && s.Spec.ClusterIP != "None" && s.Spec.ClusterIP != "" {
		found = []ingressAddress{addressOf(s.Spec.ClusterIP)}
	}
	slices.SortFunc(found, func(a, b ingressAddress) int {
		return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.Hostname, b.Hostname))
	})
	return slices.Compact(found), nil
}

// nodes returns the addresses of the nodes that a Service's running pods are on.
func (t *term) nodes(ctx context.Context, s *service) (found []ingressAddress, err error) {
	var pods struct {
		Items []struct {
			Status struct {
				Phase  string `json:"phase"`
				HostIP string `json:"hostIP"`
			} `json:"status"`
		} `json:"items"`
	}
	selector := url.Values{"labelSelector": {labels.SelectorFromSet(s.Spec.Selector).String()}}
	err = t.api.query(ctx, &pods, selector, "/api/v1/namespaces/"+s.Metadata.Namespace+"/pods")
	if apierrors.IsForbidden(err) {
		return nil, t.api.refused("list", "pods", err)
	}
	for _, p := range pods.Items {
		if p.Status.Phase == "Running" && p.Status.HostIP != "" {
			found = append(found, addressOf(p.Status.HostIP))
		}
	}
	return found, err
}
