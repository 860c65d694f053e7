package start

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/role"
)

const (
	// meshPoll is how often the file of the mesh's configuration is looked at.
	meshPoll = time.Second
	// meshSettle is how long a new version must have stayed as it is, and meshPatience how often
	// that is waited for: most programs truncate a file before they write it.
	meshSettle   = 40 * time.Millisecond
	meshPatience = 20
)

// meshKey is the ConfigMap that a file of the mesh's configuration stands for.
var meshKey = config.Key{Kind: "ConfigMap", Namespace: "istio-system", Name: decode.MeshConfigName}

// MeshConfigMap is the "namespace/name" of the ConfigMap with the mesh's configuration; empty
// where a file stands in its place.
func MeshConfigMap(file string) string {
	if file != "" {
		return ""
	}
	return meshKey.Namespace + "/" + meshKey.Name
}

// WithMesh returns a source that brings the mesh's configuration (Istio's MeshConfig) of a
// file in the place of a ConfigMap's. It follows the file. Where the file cannot be read, its
// last version stays in force, and a condition says so. Without a name it returns source.
func WithMesh(source role.Source, name string) role.Source {
	if name == "" {
		return source
	}
	return func(ctx context.Context, publish func(config.Delta)) error {
		m := meshFile{name: name, publish: publish}
		ctx, stop := context.WithCancel(ctx)
		var follower sync.WaitGroup
		follower.Go(func() { m.follow(ctx) })
		defer follower.Wait()
		defer stop()
		return source(ctx, m.take)
	}
}

// meshFile joins a file to another source.
type meshFile struct {
	name string

	mu      sync.Mutex
	publish func(config.Delta)
	begun   bool
	text    []byte
	object  *config.Object
	wrong   []config.Condition
	// others are the conditions of the other source.
	others []config.Condition
}

// take passes on what the other source brings, but for its mesh configuration.
func (m *meshFile) take(d config.Delta) {
	m.mu.Lock()
	defer m.mu.Unlock()
	isMesh := func(k config.Key) bool { return k == meshKey }
	d.Set = slices.DeleteFunc(slices.Clone(d.Set), func(o *config.Object) bool { return isMesh(o.Key) })
	d.Removed = slices.DeleteFunc(slices.Clone(d.Removed), isMesh)
	m.others = d.Conditions
	if !m.begun {
		m.begun = true
		if m.hold(os.ReadFile(m.name)); m.object != nil {
			d.Set = append(d.Set, m.object)
		}
	}
	d.Conditions = slices.Concat(m.others, m.wrong)
	m.publish(d)
}

// follow looks at the file until ctx ends.
func (m *meshFile) follow(ctx context.Context) {
	tick := time.NewTicker(meshPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.look(ctx)
		}
	}
}

// look publishes the file where it has changed.
func (m *meshFile) look(ctx context.Context) {
	text, err := m.read(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun {
		return
	}
	before, wrong := m.object, m.wrong
	m.hold(text, err)
	if m.object == before && slices.Equal(m.wrong, wrong) {
		return
	}
	d := config.Delta{Conditions: slices.Concat(m.others, m.wrong)}
	if m.object != before {
		d.Set = []*config.Object{m.object}
	}
	m.publish(d)
}

// read reads the file, once it is not being written.
func (m *meshFile) read(ctx context.Context) ([]byte, error) {
	text, err := os.ReadFile(m.name)
	for range meshPatience {
		if err != nil || m.has(text) {
			break
		}
		select {
		case <-time.After(meshSettle):
		case <-ctx.Done():
		}
		before := text
		if text, err = os.ReadFile(m.name); err == nil && bytes.Equal(text, before) {
			break
		}
	}
	return text, err
}

// has says whether a text is the one in force.
func (m *meshFile) has(text []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.object != nil && bytes.Equal(text, m.text)
}

// hold makes an object of the file, the one that there was where nothing changed.
func (m *meshFile) hold(text []byte, err error) {
	if err != nil {
		m.wrong = []config.Condition{{
			Severity: config.Error, Reason: file.ReasonUnreadable, Object: config.Key{Kind: "File", Name: m.name}, File: m.name,
			Message: "the mesh's configuration cannot be read (--mesh-config): " + err.Error(),
		}}
		return
	}
	m.wrong = nil
	if m.object != nil && bytes.Equal(text, m.text) {
		return
	}
	// On one line, so that the lines of the text are those of the file.
	manifest, _ := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]string{"name": meshKey.Name, "namespace": meshKey.Namespace},
		"data":     map[string]string{"mesh": string(text)},
	})
	m.text = text
	m.object = &config.Object{Key: meshKey, Version: "v1", Source: config.Plain(manifest), File: m.name, Line: 1}
}
