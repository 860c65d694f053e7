package validate

import (
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
)

// The API server of Kubernetes refuses ports that are none; files hold them.

func (c *checker) service(spec *kube.ServiceSpec) {
	for i, p := range spec.Ports {
		at := field("spec").Field("ports").Index(i)
		c.kubePort(at.Field("port"), int(p.Port))
		if target := p.TargetPort.IntValue(); target != 0 {
			c.kubePort(at.Field("targetPort"), target)
		}
	}
}

func (c *checker) endpoints(e *kube.Endpoints) {
	for i, subset := range e.Subsets {
		for j, p := range subset.Ports {
			c.kubePort(field("subsets").Index(i).Field("ports").Index(j).Field("port"), int(p.Port))
		}
	}
}

func (c *checker) endpointSlice(s *kube.EndpointSlice) {
	for i, p := range s.Ports {
		if p.Port != nil {
			c.kubePort(field("ports").Index(i).Field("port"), int(*p.Port))
		}
	}
}

func (c *checker) kubePort(at *config.Path, number int) {
	if number < 1 || number > 65535 {
		c.fail(BadPort, at, "%d is not a port: write a number from 1 to 65535", number)
	}
}
