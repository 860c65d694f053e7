package kube

import (
	"encoding/json"
	"strconv"
)

// Unread is a field that means nothing here.
type Unread struct{}

// UnmarshalJSON takes anything.
func (*Unread) UnmarshalJSON([]byte) error { return nil }

const (
	// ClusterIPNone is the address of a headless Service.
	ClusterIPNone = "None"
	// ServiceTypeExternalName is the type of a Service that stands for another name.
	ServiceTypeExternalName = "ExternalName"
)

// Service is a Service of v1.
type Service struct {
	TypeMeta   `json:",inline"`
	ObjectMeta `json:"metadata,omitempty"`
	Spec       ServiceSpec `json:"spec,omitempty"`
	Status     Unread      `json:"status,omitempty"`
}

// ServiceSpec is what a Service asks for.
type ServiceSpec struct {
	Ports                    []ServicePort     `json:"ports,omitempty"`
	Selector                 map[string]string `json:"selector,omitempty"`
	ClusterIP                string            `json:"clusterIP,omitempty"`
	ClusterIPs               []string          `json:"clusterIPs,omitempty"`
	Type                     string            `json:"type,omitempty"`
	ExternalName             string            `json:"externalName,omitempty"`
	PublishNotReadyAddresses bool              `json:"publishNotReadyAddresses,omitempty"`
	IPFamilies               []string          `json:"ipFamilies,omitempty"`

	ExternalIPs                   Unread `json:"externalIPs,omitempty"`
	SessionAffinity               Unread `json:"sessionAffinity,omitempty"`
	LoadBalancerIP                Unread `json:"loadBalancerIP,omitempty"`
	LoadBalancerSourceRanges      Unread `json:"loadBalancerSourceRanges,omitempty"`
	ExternalTrafficPolicy         Unread `json:"externalTrafficPolicy,omitempty"`
	HealthCheckNodePort           Unread `json:"healthCheckNodePort,omitempty"`
	SessionAffinityConfig         Unread `json:"sessionAffinityConfig,omitempty"`
	IPFamilyPolicy                Unread `json:"ipFamilyPolicy,omitempty"`
	AllocateLoadBalancerNodePorts Unread `json:"allocateLoadBalancerNodePorts,omitempty"`
	LoadBalancerClass             Unread `json:"loadBalancerClass,omitempty"`
	InternalTrafficPolicy         Unread `json:"internalTrafficPolicy,omitempty"`
	TrafficDistribution           Unread `json:"trafficDistribution,omitempty"`
}

// ServicePort is one port of a Service.
type ServicePort struct {
	Name        string      `json:"name,omitempty"`
	Protocol    string      `json:"protocol,omitempty"`
	AppProtocol *string     `json:"appProtocol,omitempty"`
	Port        int32       `json:"port"`
	TargetPort  IntOrString `json:"targetPort,omitempty"`
	NodePort    int32       `json:"nodePort,omitempty"`
}

// IntOrString is a number or a name.
type IntOrString struct {
	IntVal int32
	StrVal string
}

// UnmarshalJSON reads a number or a string.
func (v *IntOrString) UnmarshalJSON(b []byte) error {
	*v = IntOrString{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &v.StrVal)
	}
	return json.Unmarshal(b, &v.IntVal)
}

// MarshalJSON writes what UnmarshalJSON reads.
func (v IntOrString) MarshalJSON() ([]byte, error) {
	if v.StrVal != "" {
		return json.Marshal(v.StrVal)
	}
	return json.Marshal(v.IntVal)
}

// IntValue is the number, be it written as a string; 0 for a name.
func (v IntOrString) IntValue() int {
	if v.StrVal == "" {
		return int(v.IntVal)
	}
	n, _ := strconv.Atoi(v.StrVal)
	return n
}
