package kube

const (
	// PodSucceeded and PodFailed are the phases of a Pod that runs no more.
	PodSucceeded = "Succeeded"
	PodFailed    = "Failed"
	// PodReady is the condition that says whether a Pod takes traffic, and ConditionFalse
	// that it does not.
	PodReady       = "Ready"
	ConditionFalse = "False"
)

// Pod is a Pod of v1, read for its labels, its address and the names of its ports.
type Pod struct {
	TypeMeta   `json:",inline"`
	ObjectMeta `json:"metadata,omitempty"`
	Spec       PodSpec   `json:"spec,omitempty"`
	Status     PodStatus `json:"status,omitempty"`
}

// PodSpec is what a Pod asks for.
type PodSpec struct {
	Containers         []Container `json:"containers"`
	ServiceAccountName string      `json:"serviceAccountName,omitempty"`
}

// Container is one of a Pod's.
type Container struct {
	Ports []ContainerPort `json:"ports,omitempty"`
}

// ContainerPort is a port that a container serves.
type ContainerPort struct {
	Name          string `json:"name,omitempty"`
	ContainerPort int32  `json:"containerPort"`
}

// PodStatus is how a Pod does.
type PodStatus struct {
	Phase      string         `json:"phase,omitempty"`
	Conditions []PodCondition `json:"conditions,omitempty"`
	PodIP      string         `json:"podIP,omitempty"`
}

// PodCondition is one thing that is so, or not.
type PodCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// Namespace is a Namespace of v1.
type Namespace struct {
	TypeMeta   `json:",inline"`
	ObjectMeta `json:"metadata,omitempty"`
	Spec       Unread `json:"spec,omitempty"`
	Status     Unread `json:"status,omitempty"`
}

// Node is a Node of v1, read for the labels that say where it is.
type Node struct {
	TypeMeta   `json:",inline"`
	ObjectMeta `json:"metadata,omitempty"`
	Spec       Unread `json:"spec,omitempty"`
	Status     Unread `json:"status,omitempty"`
}

const (
	// SecretTypeTLS is the type of a Secret with a certificate, under TLSCertKey, and its
	// key, under TLSPrivateKeyKey.
	SecretTypeTLS    = "kubernetes.io/tls"
	TLSCertKey       = "tls.crt"
	TLSPrivateKeyKey = "tls.key"
)

// Secret is a Secret of v1.
type Secret struct {
	TypeMeta   `json:",inline"`
	ObjectMeta `json:"metadata,omitempty"`
	Immutable  *bool             `json:"immutable,omitempty"`
	Data       map[string][]byte `json:"data,omitempty"`
	StringData map[string]string `json:"stringData,omitempty"`
	Type       string            `json:"type,omitempty"`
}
