package start

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// TestWithMesh: a file stands in for the ConfigMap, is followed, and harms nothing where it
// cannot be read.
func TestWithMesh(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "mesh.yaml")
	text := "accessLogFile: /dev/stdout\nwhat: 1\n"
	put(t, name, text)
	deltas := make(chan config.Delta, 16)
	other := &config.Object{Key: config.Key{Kind: "Service", Namespace: "a", Name: "b"}}
	theirs := config.Condition{Message: "theirs"}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	source := func(ctx context.Context, publish func(config.Delta)) error {
		publish(config.Delta{Set: []*config.Object{{Key: meshKey}, other}, Conditions: []config.Condition{theirs}})
		<-ctx.Done()
		return ctx.Err()
	}
	go func() { ended <- WithMesh(source, name)(ctx, func(d config.Delta) { deltas <- d }) }()

	first := <-deltas
	if len(first.Set) != 2 || first.Set[0] != other || first.Set[1].Key != meshKey || !slices.Equal(first.Conditions, []config.Condition{theirs}) {
		t.Fatalf("got %+v", first)
	}
	typed, conditions := decode.Decode(first.Set[1])
	if typed == nil || len(conditions) != 1 || conditions[0].File != name || conditions[0].Line != 2 {
		t.Errorf("got %v, %+v", typed, conditions)
	}

	put(t, name, "accessLogFile: /dev/stderr\n")
	if d := <-deltas; len(d.Set) != 1 || !strings.Contains(string(d.Set[0].Text()), "stderr") || !slices.Equal(d.Conditions, []config.Condition{theirs}) {
		t.Errorf("after a change: %+v", d)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if d := <-deltas; len(d.Set) != 0 || len(d.Removed) != 0 || len(d.Conditions) != 2 || !strings.Contains(d.Conditions[1].String(), "--mesh-config") {
		t.Errorf("without the file: %+v", d)
	}
	stop()
	if err := <-ended; err != context.Canceled {
		t.Errorf("ended with %v", err)
	}
}

// TestMeshHalfWritten: a file that is being written is taken once it is whole.
func TestMeshHalfWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "mesh.yaml")
		put(t, name, "accessLogFile: /dev/stdout\n")
		deltas := make(chan config.Delta, 16)
		ctx, stop := context.WithCancel(t.Context())
		source := func(ctx context.Context, publish func(config.Delta)) error {
			publish(config.Delta{})
			<-ctx.Done()
			return ctx.Err()
		}
		ended := make(chan error, 1)
		go func() { ended <- WithMesh(source, name)(ctx, func(d config.Delta) { deltas <- d }) }()
		<-deltas
		write := func(text string) {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
		write("")
		time.Sleep(meshPoll + meshSettle/4)
		write("accessLogFile: /dev/")
		time.Sleep(meshSettle / 2)
		write("accessLogFile: /dev/stderr\n")
		if d := <-deltas; len(d.Set) != 1 || !strings.Contains(string(d.Set[0].Text()), "/dev/stderr") {
			t.Errorf("half of it came: %s", d.Set[0].Text())
		}
		stop()
		<-ended
	})
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}
