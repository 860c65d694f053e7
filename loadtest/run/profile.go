package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicegate/sluice/loadtest/generate"
	"github.com/sluicegate/sluice/loadtest/work"
)

// profile offers a work's load, as much as is borne where the work asks for that, and writes
// where the gateway spends its processor time meanwhile.
func (t turn) profile(ctx context.Context, o Options, w work.Work, round int) error {
	o.tell(Step{w.Name, t.subject.Name, round, "where it spends its time"})
	load, offer := t.load(o, w), generate.Open
	if w.Has(work.Saturation) {
		load.Rate, offer = 0, generate.Saturate
	}
	// The load goes on for longer: connections are opened first.
	seconds := max(int(load.Duration/time.Second), 1)
	load.Duration = time.Duration(seconds)*time.Second + 2*warmUp
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fetched := make(chan error, 1)
	go func() {
		fetched <- fetchProfile(ctx, t.Admin, seconds, filepath.Join(o.Profiles, fmt.Sprintf("%s-%d.pprof", w.Name, round)))
	}()
	res, err := offer(ctx, load)
	if err = errors.Join(err, lost(res)); err != nil {
		return err
	}
	return <-fetched
}

// fetchProfile writes a profile of so many seconds of the gateway whose admin address is given.
func fetchProfile(ctx context.Context, admin string, seconds int, file string) error {
	select {
	case <-time.After(warmUp):
	case <-ctx.Done():
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, seconds), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", req.URL, resp.Status, text)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
