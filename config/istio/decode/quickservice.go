package decode

import "github.com/sluicegate/sluice/config/istio/kube"

var (
	serviceNames     = []string{"apiVersion", "kind", "metadata", "spec"}
	serviceSpecNames = []string{"ports", "selector", "clusterIP", "type", "externalName", "publishNotReadyAddresses", "ipFamilies"}
	servicePortNames = []string{"name", "protocol", "appProtocol", "port", "targetPort", "nodePort"}
)

// service reads a Service.
func (q *quick) service(s *kube.Service) bool {
	return q.fields(serviceNames, func(name string) bool {
		switch name {
		case "apiVersion":
			return q.text(&s.APIVersion)
		case "kind":
			return q.text(&s.Kind)
		case "metadata":
			return q.metadata(&s.ObjectMeta)
		default:
			return q.serviceSpec(&s.Spec)
		}
	}) && q.end()
}

func (q *quick) serviceSpec(s *kube.ServiceSpec) bool {
	return q.fields(serviceSpecNames, func(name string) bool {
		switch name {
		case "ports":
			s.Ports = []kube.ServicePort{}
			return q.List(func() bool {
				var p kube.ServicePort
				ok := q.servicePort(&p)
				s.Ports = append(s.Ports, p)
				return ok
			})
		case "selector":
			return q.labels(&s.Selector)
		case "clusterIP":
			return q.text(&s.ClusterIP)
		case "type":
			return q.text(&s.Type)
		case "externalName":
			return q.text(&s.ExternalName)
		case "publishNotReadyAddresses":
			return q.flag(&s.PublishNotReadyAddresses)
		default:
			s.IPFamilies = []string{}
			return q.texts(&s.IPFamilies)
		}
	})
}

func (q *quick) servicePort(p *kube.ServicePort) bool {
	return q.fields(servicePortNames, func(name string) bool {
		switch name {
		case "name":
			return q.text(&p.Name)
		case "protocol":
			return q.text(&p.Protocol)
		case "appProtocol":
			p.AppProtocol = new(string)
			return q.text(p.AppProtocol)
		case "port":
			return q.number(&p.Port)
		case "targetPort":
			if q.Space() == '"' {
				return q.text(&p.TargetPort.StrVal)
			}
			return q.number(&p.TargetPort.IntVal)
		default:
			return q.number(&p.NodePort)
		}
	})
}
