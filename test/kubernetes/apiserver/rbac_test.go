package apiserver

import (
	"strings"
	"testing"
)

// rbac is what the gateway may do; NAMESPACE is its own.
const rbac = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: sluice-gateway-NAMESPACE}
rules:
- {apiGroups: [networking.istio.io, security.istio.io], resources: ["*"], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [services, pods, nodes, namespaces], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: sluice-gateway-NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sluice-gateway-NAMESPACE}
subjects: [{kind: ServiceAccount, name: sluice-gateway, namespace: NAMESPACE}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: sluice-gateway, namespace: NAMESPACE}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sluice-gateway, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: sluice-gateway}
subjects: [{kind: ServiceAccount, name: sluice-gateway, namespace: NAMESPACE}]
`

// gatewayToken makes the gateway's service account with what it may do, and returns a
// token for it.
func (s *server) gatewayToken(t testing.TB, namespace string) string {
	t.Helper()
	s.apply(t, strings.ReplaceAll(rbac, "NAMESPACE", namespace))
	return s.account(t, namespace, "sluice-gateway")
}
