package bookinfo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Peers is how a workload reaches the services behind it. A field left zero has its
// default.
type Peers struct {
	// Details, Reviews and Ratings are base URLs; by default http://details:9080
	// and so on.
	Details, Reviews, Ratings string
	// Client makes the calls; by default one that dials what the names resolve to.
	Client *http.Client
	// PageTimeout bounds each of productpage's calls; 3 s by default.
	PageTimeout time.Duration
	// RatingsTimeout bounds reviews' call to ratings; 10 s by default.
	RatingsTimeout time.Duration
	// Instance is what the workload calls itself in its answers; by default the
	// environment's HOSTNAME on Kubernetes, else the workload's name.
	Instance string
}

func (p Peers) withDefaults(w Workload) Peers {
	base := func(url *string, app string) {
		if *url == "" {
			*url = fmt.Sprintf("http://%s:%d", app, Port)
		}
	}
	base(&p.Details, "details")
	base(&p.Reviews, "reviews")
	base(&p.Ratings, "ratings")
	if p.Client == nil {
		p.Client = &http.Client{}
	}
	if p.PageTimeout == 0 {
		p.PageTimeout = 3 * time.Second
	}
	if p.RatingsTimeout == 0 {
		p.RatingsTimeout = 10 * time.Second
	}
	if p.Instance == "" {
		p.Instance = w.String()
		if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
			p.Instance = os.Getenv("HOSTNAME")
		}
	}
	return p
}

// NewHandler returns the service that a workload runs. It fails for a service or a
// version that the application does not have.
func NewHandler(w Workload, p Peers) (http.Handler, error) {
	p = p.withDefaults(w)
	switch w {
	case Workload{"productpage", "v1"}:
		return newProductpage(p), nil
	case Workload{"details", "v1"}:
		return newDetails(), nil
	case Workload{"reviews", "v1"}:
		return newReviews(p, ""), nil
	case Workload{"reviews", "v2"}:
		return newReviews(p, "black"), nil
	case Workload{"reviews", "v3"}:
		return newReviews(p, "red"), nil
	case Workload{"ratings", "v1"}:
		return newRatings(), nil
	}
	return nil, fmt.Errorf("bookinfo: there is no %q in version %q; there are %v", w.App, w.Version, Workloads())
}

// maxAnswer bounds what a service reads of another's answer, in bytes.
const maxAnswer = 1 << 20

// get asks a peer on behalf of the request r, whose tracing headers go along, and
// decodes its JSON into into. It returns the peer's status, 0 where there was none.
func (p *Peers) get(r *http.Request, url string, timeout time.Duration, header http.Header, into any) (int, error) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header = header
	res, err := p.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return res.StatusCode, err
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, errors.New(res.Status)
	}
	return res.StatusCode, json.Unmarshal(body, into)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}

// health answers as the service's probe expects.
func health(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": name + " is healthy"})
	}
}

// isNumber says whether id is what the application uses as a product's id.
func isNumber(id string) bool {
	for i := range len(id) {
		if id[i] < '0' || id[i] > '9' {
			return false
		}
	}
	return id != "" && len(id) <= 9
}
