package role

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// TestPanicInForce: a table that cannot be put in force is not, not even in parts. The process goes
// on with the last one, says so, and has let go of the sockets that it had opened for the new one.
func TestPanicInForce(t *testing.T) {
	t.Parallel()
	p := run(t, func(o *Options) {
		binds := o.Binds
		o.Binds = func(list []*router.Listener) ([]Bind, []config.Condition) {
			all, conditions := binds(list)
			for i := range all {
				all[i].Datagrams = all[i].Listener == "datagrams"
			}
			return all, conditions
		}
		o.HTTP3 = func(listener.Options, *http1.Options, []router.Header) DatagramServer { panic("no datagrams") }
	})
	one, two := origin(t, "one", text("one")), origin(t, "two", text("two"))
	first := []*router.Listener{to("a", "127.0.0.1:0", "one")}
	s := p.set(first, one)
	address, taken := s.Address("a"), freeAddress()

	// The sockets of the new one are opened, and that of the old one is gone, when it fails.
	s = p.set([]*router.Listener{to("b", taken, "two"), to("datagrams", "127.0.0.1:0", "two")}, two)
	reason := func(c config.Condition) bool {
		return c.Reason == pipeline.ReasonTableFailed && strings.Contains(c.Message, "put in force (no datagrams)")
	}
	if s.Generation != 1 || s.NotReady != nil || len(s.Conditions) != 1 || !slices.ContainsFunc(s.Conditions, reason) {
		t.Errorf("generation %d, not ready: %v, conditions %v", s.Generation, s.NotReady, s.Conditions)
	}
	named := func(name string) func(admin.Listener) bool {
		return func(l admin.Listener) bool { return l.Name == name }
	}
	if len(s.Listeners) != 1 || !slices.ContainsFunc(s.Listeners, named("a")) {
		t.Errorf("listeners are %v, want a", s.Listeners)
	}
	if _, body := fetch(t, "http://"+s.Address("a")+"/"); body != "one" {
		t.Errorf("%s, which was %s, answers %q, want one", s.Address("a"), address, body)
	}
	p.metrics("sluice_config_reload_failures 1")

	// Once it is possible, it comes in force.
	s = p.set([]*router.Listener{to("b", taken, "two")}, two)
	if _, body := fetch(t, "http://"+taken+"/"); body != "two" || len(s.Conditions) != 0 || s.Generation != 2 {
		t.Errorf("%q is served, in generation %d, with conditions %v", body, s.Generation, s.Conditions)
	}
}
