package envoydump

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestIstioctl has an unmodified istioctl read the dump, where ISTIOCTL names one: building it
// takes a quarter of an hour and 200 MB.
func TestIstioctl(t *testing.T) {
	t.Parallel()
	istioctl := os.Getenv("ISTIOCTL")
	if istioctl == "" {
		t.Skip("ISTIOCTL names no istioctl")
	}
	spec := compile(t, gateway, "testdata/mesh.yaml")
	files := map[string]string{}
	for name, target := range map[string]string{"dump": "/config_dump?format=envoy", "clusters": "/clusters?format=json"} {
		files[name] = filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(files[name], page(t, spec, target), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for noun, c := range map[string]struct{ file, want string }{
		"listeners": {"dump", `127\.0\.0\.1 +12345 +.*Route: http\.80`},
		"routes":    {"dump", `http\.80 +shop\.example\.com:80 +shop\.example\.com +/api\* +web\.shop`},
		"clusters":  {"dump", `web\.shop\.svc\.cluster\.local +80 +v1 +outbound +EDS +web\.shop`},
		"endpoints": {"clusters", `10\.0\.0\.1:8080 +HEALTHY +OK +outbound\|80\|\|web\.shop\.svc\.cluster\.local`},
		"bootstrap": {"dump", `router~127\.0\.0\.1`},
	} {
		out, err := exec.Command(istioctl, "proxy-config", noun, "-f", files[c.file]).CombinedOutput()
		if err != nil || !regexp.MustCompile(c.want).Match(out) {
			t.Errorf("%s: %v, no %s in\n%s", noun, err, c.want, out)
		}
	}
}
