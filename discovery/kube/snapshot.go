package kube

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config"
)

const (
	// snapshotEvery is the time between two writes, at least; snapshotShare how many times
	// as long as the last write it is.
	snapshotEvery = 5 * time.Second
	snapshotShare = 30
	// snapshotFormat is the version of the file's format.
	snapshotFormat = 1
)

// snapshotHead is the first line of a snapshot.
type snapshotHead struct {
	Format int       `json:"format"`
	Taken  time.Time `json:"taken"`
}

// snapshotObject is one of the others.
type snapshotObject struct {
	Group       string            `json:"group,omitempty"`
	Version     string            `json:"version"`
	Kind        string            `json:"kind"`
	Namespace   string            `json:"namespace,omitempty"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     time.Time         `json:"created,omitzero"`
	Manifest    json.RawMessage   `json:"manifest"`
}

// keepSnapshot writes what is handed on, from time to time and at the end. ctx must not end before
// the last is handed on.
func (c *Cluster) keepSnapshot(ctx context.Context) {
	removeLeftovers(c.opt.Snapshot)
	wait := time.Duration(0)
	failed := false
	for {
		select {
		case <-ctx.Done():
			// There may be news nevertheless.
			select {
			case <-c.health.news:
			default:
				return
			}
		case <-c.health.news:
		}
		sleep(ctx, wait)
		began := time.Now()
		err := writeSnapshot(c.opt.Snapshot, c.taken(began), c.snapshotObjects())
		if err != nil && !failed {
			c.log.Error("the snapshot cannot be written: a start without the API server would have none", "file", c.opt.Snapshot, "error", err)
		}
		failed = err != nil
		wait = max(snapshotEvery, snapshotShare*time.Since(began))
	}
}

// taken is when what is handed on now was taken: what came from a snapshot gets no younger.
func (c *Cluster) taken(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.health.snapshotTaken.IsZero() {
		return c.health.snapshotTaken
	}
	return now
}

// snapshotObjects are those that belong into a snapshot.
func (c *Cluster) snapshotObjects() []*config.Object {
	all := c.set.objects()
	if !c.opt.SnapshotNoSecrets {
		return all
	}
	kept := all[:0]
	for _, o := range all {
		if o.Group != secret.group || o.Kind != secret.kind {
			kept = append(kept, o)
		}
	}
	return kept
}

// leftover is the age from which a file that is being written is one that nobody writes any more.
const leftover = 10 * time.Minute

// temporary is what the names of files begin with that are being written.
func temporary(path string) string { return "." + filepath.Base(path) + "." }

// removeLeftovers removes what processes left that were killed while they wrote: it holds Secrets, and
// a process that is killed again and again would fill the volume.
func removeLeftovers(path string) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // to write will fail too, and says why
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), temporary(path)) && time.Since(info.ModTime()) > leftover {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// writeSnapshot replaces a snapshot in one step. Only its owner can read it.
func writeSnapshot(path string, taken time.Time, objects []*config.Object) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), temporary(path)+"*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	zip, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
	lines := json.NewEncoder(zip)
	if err := lines.Encode(snapshotHead{snapshotFormat, taken.UTC()}); err != nil {
		return err
	}
	for _, o := range objects {
		line := snapshotObject{o.Group, o.Version, o.Kind, o.Namespace, o.Name, o.Labels, o.Annotations, o.Created.Time(), o.Text()}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	if err := errors.Join(zip.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// readSnapshot returns what a snapshot holds, and when it was taken.
func readSnapshot(path string) ([]*config.Object, time.Time, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	zip, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%s: %w", path, err)
	}
	lines := json.NewDecoder(zip)
	var head snapshotHead
	if err := lines.Decode(&head); err != nil || head.Format != snapshotFormat {
		return nil, time.Time{}, errors.Join(fmt.Errorf("%s is no snapshot that this version reads", path), err)
	}
	var objects []*config.Object
	for {
		var o snapshotObject
		switch err := lines.Decode(&o); {
		case errors.Is(err, io.EOF):
			return objects, head.Taken, nil
		case err != nil:
			return nil, time.Time{}, fmt.Errorf("%s: %w", path, err)
		}
		objects = append(objects, &config.Object{
			Key:     config.Key{Group: o.Group, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name},
			Version: o.Version, Labels: o.Labels, Annotations: o.Annotations, Created: config.At(o.Created), Source: config.Plain(o.Manifest),
		})
	}
}

// useSnapshot takes everything from the snapshot that the API server has not brought, and says why,
// provided that it has something that is needed; with nil it always is. It returns false where there is none.
func (c *Cluster) useSnapshot(why string, needed func(*config.Object) bool) bool {
	if c.opt.Snapshot == "" || c.health.snapshotTried {
		return false
	}
	c.health.snapshotTried = true
	objects, taken, err := readSnapshot(c.opt.Snapshot)
	switch {
	case errors.Is(err, os.ErrNotExist):
		c.log.Info("there is no snapshot yet", "file", c.opt.Snapshot)
		return false
	case err != nil:
		c.log.Error("the snapshot cannot be read: waiting for the API server", "error", err)
		return false
	}
	if needed != nil && !slices.ContainsFunc(objects, needed) {
		return false
	}
	c.mu.Lock()
	sources := slices.Clone(c.sources)
	c.mu.Unlock()
	base := c.base()
	for _, o := range objects {
		if c.mayRead(o, base) {
			c.set.restore(o, sources)
		}
	}
	c.mu.Lock()
	c.health.snapshotTaken = taken
	c.mu.Unlock()
	c.log.Warn(why+": serving the snapshot", "server", c.rest.Host, "file", c.opt.Snapshot,
		"age", time.Since(taken).Round(time.Second), "objects", len(objects))
	return true
}

// mayRead says whether there are sources that an object could come from, or may be once they are
// wanted: the snapshot may be of a process that read other namespaces.
func (c *Cluster) mayRead(o *config.Object, base []*source) bool {
	if resourceOf(o.Key) == nil && o.Kind != configMap.kind {
		return true
	}
	return slices.ContainsFunc(base, func(s *source) bool { return s.about(o) })
}
