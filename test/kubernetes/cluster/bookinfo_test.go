package cluster

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// bookinfo is the folder of the sample, as people give it to kubectl.
const bookinfo = "deploy/samples/bookinfo/"

// pageURL is the product page at the gateway's NodePort.
const pageURL = "http://" + nodeAddress + ":31380/productpage"

// page is what a visitor sees.
type page struct {
	status int
	// reviews is the version that made them, as "v2"; empty where there are none.
	reviews string
	// stars is their colour; empty where there are none.
	stars string
	// apology: the page says that there are no reviews.
	apology bool
	took    time.Duration
}

var (
	servedBy = regexp.MustCompile(`<code>reviews-(v[0-9])`)
	colour   = regexp.MustCompile(`of 5 (black|red) stars`)
)

// visit looks at the page; user is empty for nobody in particular.
func visit(user string) (p page, err error) {
	cookie := ""
	if user != "" {
		cookie = "session=" + user
	}
	start := time.Now()
	status, body, err := get(pageURL, "", cookie)
	if err != nil {
		return page{}, err
	}
	p = page{status: status, took: time.Since(start), apology: strings.Contains(body, "Error fetching product reviews")}
	if m := servedBy.FindStringSubmatch(body); m != nil {
		p.reviews = m[1]
	}
	if m := colour.FindStringSubmatch(body); m != nil {
		p.stars = m[1]
	}
	return p, nil
}

// wants returns an error unless the page is good, with reviews of a version.
func (p page) wants(reviews string) error {
	stars := map[string]string{"v1": "", "v2": "black", "v3": "red"}[reviews]
	if p.status != 200 || p.reviews != reviews || p.stars != stars || p.apology {
		return fmt.Errorf("%+v, want reviews %s with %q stars", p, reviews, stars)
	}
	return nil
}

// awaitReviews waits until a user sees a version of reviews, twenty times one after the
// other: before a change is in force, a version may be seen by chance.
func awaitReviews(t *testing.T, user, version string) {
	t.Helper()
	await(t, fmt.Sprintf("%s sees %s", name(user), version), func() error {
		for range 20 {
			p, err := visit(user)
			if err != nil {
				return err
			}
			if err := p.wants(version); err != nil {
				return err
			}
		}
		return nil
	})
}

func name(user string) string {
	if user == "" {
		return "everybody"
	}
	return user
}

// tally counts the versions of reviews over many visits.
func tally(t *testing.T, visits int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range visits {
		p, err := visit("")
		if err == nil {
			err = p.wants(p.reviews)
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[p.reviews]++
	}
	t.Logf("of %d visits: %v", visits, seen)
	return seen
}

// TestBookinfo goes through what people type who try Istio's routing for the first time.
func TestBookinfo(t *testing.T) {
	need(t)
	install(t)
	startMesh(t)
	step := func(name string, f func(*testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	step("application", func(t *testing.T) {
		kubectl(t, "apply -f "+bookinfo+"platform/bookinfo.yaml")
		for _, w := range []string{"productpage v1", "reviews v2", "reviews v3"} {
			app, version, _ := strings.Cut(w, " ")
			inject(t, app, version)
		}
		kubectl(t, "rollout status deployment --timeout=90s")
	})
	step("gateway", func(t *testing.T) {
		kubectl(t, "apply -f "+bookinfo+"networking/bookinfo-gateway.yaml")
		await(t, "the page is there", func() error {
			p, err := visit("")
			if err == nil {
				err = p.wants(p.reviews)
			}
			return err
		})
		if seen := tally(t, 60); len(seen) != 3 {
			t.Errorf("without rules every version is seen, got %v", seen)
		}
	})
	step("destination rules and all v1", func(t *testing.T) {
		kubectl(t, "apply -f "+bookinfo+"networking/destination-rule-all.yaml")
		kubectl(t, "apply -f "+bookinfo+"networking/virtual-service-all-v1.yaml")
		awaitReviews(t, "", "v1")
	})
	step("jason sees v2", func(t *testing.T) {
		kubectl(t, "apply -f "+bookinfo+"networking/virtual-service-reviews-test-v2.yaml")
		awaitReviews(t, "jason", "v2")
		awaitReviews(t, "", "v1")
	})
	step("ratings take 7 s for jason", testDelay)
	step("half and half", func(t *testing.T) {
		kubectl(t, "apply -f "+bookinfo+"networking/virtual-service-reviews-50-v3.yaml")
		await(t, "somebody sees v3", func() error {
			p, err := visit("")
			if err != nil {
				return err
			}
			return p.wants("v3")
		})
		// Six standard deviations of 200 tosses of a coin.
		if seen := tally(t, 200); seen["v2"] != 0 || seen["v1"] < 58 || seen["v3"] < 58 {
			t.Errorf("got %v, want about 100 of v1 and of v3", seen)
		}
	})
	step("v3", func(t *testing.T) {
		kubectl(t, "apply -f "+bookinfo+"networking/virtual-service-reviews-v3.yaml")
		awaitReviews(t, "", "v3")
		awaitReviews(t, "jason", "v3")
	})
	step("an Ingress", testIngress)
}

// testIngress: an Ingress opens a path to the world that the VirtualService does not, for one
// host.
func testIngress(t *testing.T) {
	const url = "http://" + nodeAddress + ":31380/health"
	answered := func(host string, want int) error {
		status, body, err := get(url, host, "")
		if err == nil && status != want {
			err = fmt.Errorf("/health of %s: %d %q, want %d", host, status, body, want)
		}
		return err
	}
	if err := answered("books.example.com", 404); err != nil {
		t.Error(err)
	}
	t.Logf("$ kubectl apply -f - <<E%sE", ingress)
	apply(t, ingress)
	await(t, "the Ingress is served", func() error { return answered("books.example.com", 200) })
	if err := answered("other.example.com", 404); err != nil {
		t.Error(err)
	}
	await(t, "kubectl get ingress shows an address", func() error {
		out := run(t, "", "kubectl", "get", "ingress", "books")
		if !strings.Contains(out, nodeAddress) {
			return fmt.Errorf("no %s in:\n%s", nodeAddress, out)
		}
		return nil
	})
}

const ingress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: books}
spec:
  ingressClassName: sluice
  rules:
  - host: books.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: productpage, port: {name: http}}}}
`

// testDelay: the page gives up on reviews that wait for ratings, after two times three
// seconds.
func testDelay(t *testing.T) {
	kubectl(t, "apply -f "+bookinfo+"networking/virtual-service-ratings-test-delay.yaml")
	await(t, "jason reads an apology", func() error {
		p, err := visit("jason")
		if err == nil && (p.status != 200 || !p.apology || p.took < 5*time.Second || p.took > 8*time.Second) {
			err = fmt.Errorf("%+v, want an apology after 6 s", p)
		}
		return err
	})
	p, err := visit("")
	if err == nil {
		err = p.wants("v1")
	}
	if err != nil || p.took > time.Second {
		t.Errorf("everybody else: %+v after %v, %v", p, p.took, err)
	}
	kubectl(t, "delete -f "+bookinfo+"networking/virtual-service-ratings-test-delay.yaml")
	awaitReviews(t, "jason", "v2")
}
