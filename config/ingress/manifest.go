package ingress

import (
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/config/istio/kube"
)

const group = "networking.k8s.io"

// manifest is an Ingress of networking.k8s.io/v1, without its metadata.
type manifest struct {
	APIVersion string      `json:"apiVersion,omitempty"`
	Kind       string      `json:"kind,omitempty"`
	Metadata   kube.Unread `json:"metadata,omitempty"`
	Spec       spec        `json:"spec,omitempty"`
	Status     kube.Unread `json:"status,omitempty"`
}

type spec struct {
	IngressClassName *string    `json:"ingressClassName,omitempty"`
	DefaultBackend   *backend   `json:"defaultBackend,omitempty"`
	TLS              []tlsHosts `json:"tls,omitempty"`
	Rules            []rule     `json:"rules,omitempty"`
}

// backend is where requests go: a Service, or another object.
type backend struct {
	Service  *service     `json:"service,omitempty"`
	Resource *kindAndName `json:"resource,omitempty"`
}

type service struct {
	Name string `json:"name"`
	Port port   `json:"port,omitempty"`
}

// port is one of a Service, by number or by name.
type port struct {
	Name   string `json:"name,omitempty"`
	Number int32  `json:"number,omitempty"`
}

type kindAndName struct {
	APIGroup string `json:"apiGroup,omitempty"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
}

type tlsHosts struct {
	Hosts      []string `json:"hosts,omitempty"`
	SecretName string   `json:"secretName,omitempty"`
}

type rule struct {
	Host string `json:"host,omitempty"`
	HTTP *http  `json:"http,omitempty"`
}

type http struct {
	Paths []path `json:"paths"`
}

type path struct {
	Path     string  `json:"path,omitempty"`
	PathType *string `json:"pathType"`
	Backend  backend `json:"backend"`
}

// classManifest is an IngressClass.
type classManifest struct {
	APIVersion string      `json:"apiVersion,omitempty"`
	Kind       string      `json:"kind,omitempty"`
	Metadata   kube.Unread `json:"metadata,omitempty"`
	Spec       classSpec   `json:"spec,omitempty"`
}

type classSpec struct {
	Controller string       `json:"controller,omitempty"`
	Parameters *kube.Unread `json:"parameters,omitempty"`
}

// oldGroup had Ingresses before Kubernetes 1.22.
const oldGroup = "extensions"

// isIngress tells whether an object is an Ingress, in whichever version.
func isIngress(k config.Key) bool {
	return (k.Group == group || k.Group == oldGroup) && k.Kind == "Ingress"
}

func isClass(k config.Key) bool { return k.Group == group && k.Kind == "IngressClass" }

func isService(k config.Key) bool { return k.Group == "" && k.Kind == "Service" }

// read decodes an Ingress; nil where one of the conditions is an Error.
func read(o *config.Object) (*manifest, []config.Condition) {
	m := &manifest{}
	if o.Group == oldGroup {
		c := []config.Condition{{Severity: config.Error, Reason: decode.UnservedVersion, Field: "apiVersion", Message: "Kubernetes ended this API with 1.22, and it is not served: write networking.k8s.io/v1"}}
		o.Place(c)
		return nil, c
	}
	conditions, ok := decode.Kubernetes(o, []string{"v1"}, m)
	if !ok {
		return nil, conditions
	}
	return m, conditions
}

func readClass(o *config.Object) (*classManifest, []config.Condition) {
	m := &classManifest{}
	conditions, ok := decode.Kubernetes(o, []string{"v1"}, m)
	if !ok {
		return nil, conditions
	}
	return m, conditions
}
