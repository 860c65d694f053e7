package kube

// Endpoints is an Endpoints of v1, which EndpointSlices have replaced, and which people still
// write by hand.
type Endpoints struct {
	TypeMeta   `json:",inline"`
	ObjectMeta `json:"metadata,omitempty"`
	Subsets    []EndpointSubset `json:"subsets,omitempty"`
}

// EndpointSubset is a group of addresses with the same ports.
type EndpointSubset struct {
	Addresses         []EndpointAddress `json:"addresses,omitempty"`
	NotReadyAddresses []EndpointAddress `json:"notReadyAddresses,omitempty"`
	Ports             []EndpointPort    `json:"ports,omitempty"`
}

// EndpointAddress is one address.
type EndpointAddress struct {
	IP        string           `json:"ip"`
	Hostname  string           `json:"hostname,omitempty"`
	NodeName  Unread           `json:"nodeName,omitempty"`
	TargetRef *ObjectReference `json:"targetRef,omitempty"`
}

// EndpointPort is one port of a subset.
type EndpointPort struct {
	Name        string  `json:"name,omitempty"`
	Port        int32   `json:"port"`
	Protocol    string  `json:"protocol,omitempty"`
	AppProtocol *string `json:"appProtocol,omitempty"`
}

// ObjectReference names an object.
type ObjectReference struct {
	UID             Unread `json:"uid,omitempty"`
	APIVersion      Unread `json:"apiVersion,omitempty"`
	ResourceVersion Unread `json:"resourceVersion,omitempty"`
	FieldPath       Unread `json:"fieldPath,omitempty"`
	Kind            string `json:"kind,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name,omitempty"`
}

// LabelServiceName is the label by which an EndpointSlice names its Service.
const LabelServiceName = "kubernetes.io/service-name"

// AddressType is the kind of addresses that an EndpointSlice has.
type AddressType string

const (
	// AddressTypeIPv4 and AddressTypeIPv6 are IP addresses.
	AddressTypeIPv4 AddressType = "IPv4"
	AddressTypeIPv6 AddressType = "IPv6"
)

// EndpointSlice is an EndpointSlice of discovery.k8s.io/v1.
type EndpointSlice struct {
	TypeMeta    `json:",inline"`
	ObjectMeta  `json:"metadata,omitempty"`
	AddressType AddressType `json:"addressType"`
	Endpoints   []Endpoint  `json:"endpoints"`
	Ports       []SlicePort `json:"ports"`
}

// Endpoint is one endpoint of a slice.
type Endpoint struct {
	Addresses  []string           `json:"addresses"`
	Conditions EndpointConditions `json:"conditions,omitempty"`
	TargetRef  *ObjectReference   `json:"targetRef,omitempty"`
	Zone       *string            `json:"zone,omitempty"`

	NodeName           Unread `json:"nodeName,omitempty"`
	Hostname           Unread `json:"hostname,omitempty"`
	DeprecatedTopology Unread `json:"deprecatedTopology,omitempty"`
	Hints              Unread `json:"hints,omitempty"`
}

// EndpointConditions say whether an endpoint takes traffic; unknown where nil.
type EndpointConditions struct {
	Ready       *bool `json:"ready,omitempty"`
	Serving     *bool `json:"serving,omitempty"`
	Terminating *bool `json:"terminating,omitempty"`
}

// SlicePort is one port of a slice.
type SlicePort struct {
	Name        *string `json:"name,omitempty"`
	Protocol    *string `json:"protocol,omitempty"`
	Port        *int32  `json:"port,omitempty"`
	AppProtocol *string `json:"appProtocol,omitempty"`
}
