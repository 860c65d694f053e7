package config

// Wants are the objects that a front end needs and that no discovery brings by itself, because
// they are many, or secret.
type Wants struct {
	// Secrets are the Secrets that are named somewhere, whether or not they are there.
	Secrets []Key
	// Pods are the namespaces whose Pods are needed with their addresses and ports.
	Pods []string
	// PodLabels are the namespaces of whose Pods the labels are needed; "" stands for all.
	PodLabels []string
	// Nodes says that the labels of all Nodes are needed, by which these say where they are.
	Nodes bool
}
