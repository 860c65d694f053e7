package merge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// answer is what came of a target.
type answer struct {
	page []byte
	err  error
}

// ask asks all targets at once.
func (p *Page) ask(r *http.Request) []answer {
	ctx, cancel := context.WithTimeout(r.Context(), p.patience(r))
	defer cancel()
	answers := make([]answer, len(p.o.Targets))
	var asked sync.WaitGroup
	for i, target := range p.o.Targets {
		asked.Go(func() { answers[i].page, answers[i].err = p.read(ctx, target) })
	}
	asked.Wait()
	return answers
}

// read reads a target's page.
func (p *Page) read(ctx context.Context, target string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	// What is merged is Prometheus' text format. Who speaks OpenMetrics alone is read too.
	r.Header.Set("Accept", "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1")
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", target, resp.Status)
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, MaxPage+1))
	switch {
	case err != nil:
		return nil, err
	case len(page) > MaxPage:
		return nil, fmt.Errorf("%s: more than %d bytes", target, MaxPage)
	}
	return plain(page), nil
}
