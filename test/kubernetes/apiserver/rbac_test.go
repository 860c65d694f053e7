package apiserver

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// permission finds the objects that say what the gateway may do.
var permission = regexp.MustCompile(`(?m)^kind: (ServiceAccount|Role|RoleBinding|ClusterRole|ClusterRoleBinding)$`)

// rbac returns what the chart lets a gateway in a namespace do, with values of one's own
// as sluice's --set takes them.
func rbac(t testing.TB, namespace string, values ...string) string {
	t.Helper()
	args := []string{"manifest", "generate", "--crds=false", "--namespace=" + namespace, "--set=name=" + account}
	for _, v := range values {
		args = append(args, "--set="+v)
	}
	out, err := exec.Command(os.Getenv(sluiceVar), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("sluice %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	var kept []string
	for _, document := range strings.Split(string(out), "\n---\n") {
		if permission.MatchString(document) {
			kept = append(kept, document)
		}
	}
	if len(kept) < 5 {
		t.Fatalf("the chart has %d objects about permissions:\n%s", len(kept), out)
	}
	return strings.Join(kept, "\n---\n")
}

// gatewayToken makes the gateway's service account, with what the chart lets it do, and
// returns a token for it.
func (s *server) gatewayToken(t testing.TB, namespace string, values ...string) string {
	t.Helper()
	s.apply(t, rbac(t, namespace, values...))
	return s.token(t, namespace)
}
