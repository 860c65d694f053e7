package validate

import (
	"fmt"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// Rules are what objects are held to. The zero value holds them to what Istio does.
type Rules struct {
	// ACMEForAll lets servers of protocol HTTPS and mode SIMPLE do without a certificate
	// where each of their hosts is an exact name: it is issued.
	ACMEForAll bool
}

// Object returns what [Rules.Object] of the zero Rules does.
func Object(typed any) []config.Condition { return Rules{}.Object(typed) }

// Object returns what is wrong inside typed, an object of Istio's API or a Service or endpoints
// of Kubernetes', as package decode returns it; nothing for other types. The conditions name the field; the key,
// file and line are for [config.Object.Place] to fill. An object with an Error is not
// to be served. It does not keep typed and may run on many goroutines.
func (r Rules) Object(typed any) []config.Condition {
	c := checker{rules: r}
	switch o := typed.(type) {
	case *resource.Gateway:
		c.metadata(&o.ObjectMeta)
		c.gateway(o.Name, &o.Spec)
	case *resource.VirtualService:
		c.metadata(&o.ObjectMeta)
		c.virtualService(&o.Spec)
	case *resource.DestinationRule:
		c.metadata(&o.ObjectMeta)
		c.destinationRule(&o.Spec)
	case *resource.ServiceEntry:
		c.metadata(&o.ObjectMeta)
		c.serviceEntry(&o.Spec)
	case *resource.WorkloadEntry:
		c.metadata(&o.ObjectMeta)
		c.workloadEntry(&o.Spec, nil, nil, true)
	case *resource.Sidecar:
		c.metadata(&o.ObjectMeta)
		c.sidecar(&o.Spec)
	case *kube.Service:
		c.service(&o.Spec)
	case *kube.Endpoints:
		c.endpoints(o)
	case *kube.EndpointSlice:
		c.endpointSlice(o)
	}
	return c.conditions
}

// checker collects the conditions of one object.
type checker struct {
	rules      Rules
	conditions []config.Condition
	// namespace and labels are the object's own.
	namespace string
	labels    map[string]string
	// hosts are those of a VirtualService that has many; nil while nobody has asked.
	hosts map[string]struct{}
}

func (c *checker) metadata(meta *kube.ObjectMeta) {
	c.namespace, c.labels = meta.Namespace, meta.Labels
	if _, found := meta.Annotations["istio.io/dry-run"]; found {
		c.fail(NoEffect, field("metadata").Field("annotations").Key("istio.io/dry-run"), "only an AuthorizationPolicy can be tried out: remove the annotation")
	}
}

// field returns the path of a field of the spec.
func field(name string) *config.Path { return (*config.Path)(nil).Field(name) }

func (c *checker) fail(reason config.Reason, at *config.Path, format string, args ...any) {
	c.add(config.Error, reason, at, format, args...)
}

func (c *checker) warn(reason config.Reason, at *config.Path, format string, args ...any) {
	c.add(config.Warning, reason, at, format, args...)
}

func (c *checker) info(reason config.Reason, at *config.Path, format string, args ...any) {
	c.add(config.Info, reason, at, format, args...)
}

func (c *checker) add(severity config.Severity, reason config.Reason, at *config.Path, format string, args ...any) {
	c.conditions = append(c.conditions, config.Condition{
		Severity: severity, Reason: reason, Field: at.String(), Message: fmt.Sprintf(format, args...),
	})
}

// failed reports whether an Error was added since there were n conditions.
func (c *checker) failed(since int) bool {
	for _, condition := range c.conditions[since:] {
		if condition.Severity == config.Error {
			return true
		}
	}
	return false
}
