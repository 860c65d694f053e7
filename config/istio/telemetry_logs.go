package istio

import (
	"fmt"
	"slices"

	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// loggingEntry is an entry of accessLogging, and where it stands.
type loggingEntry struct {
	*telemetry.AccessLogging
	object *config.Object
	field  string
	// providers are the entry's own, or those of the entry before.
	providers []string
}

// logs returns the access logs of one direction, and whether the configuration says which
// there are. The providers are those that the most special Telemetry names; an entry without
// providers is about those of the entry before it, at first the mesh's.
func (t *telemetries) logs(inForce []*telemetryObject, mode telemetry.WorkloadMode) (logs []router.AccessLog, decided bool) {
	names := t.mesh.spec.GetDefaultProviders().GetAccessLogging()
	entries, special := t.loggingEntries(inForce, mode, names)
	if len(entries) == 0 {
		if len(names) == 0 {
			return t.mesh.fileLog()
		}
		for _, name := range names {
			logs = appendLog(logs, t.mesh.accessLog(name))
		}
		return logs, true
	}
	if len(special) > 0 {
		names = special
	}
	last := map[string]loggingEntry{}
	for _, e := range entries {
		for _, name := range e.providers {
			if inMode(e.GetMatch().GetMode(), mode) {
				last[name] = e
			}
		}
	}
	for _, name := range names {
		e, there := last[name]
		if !there || e.GetDisabled().GetValue() {
			continue
		}
		if log := t.mesh.accessLog(name); log != nil {
			log.Filter = e.GetFilter().GetExpression()
			log.Origin = originOf(e.object, e.field)
			logs = append(logs, *log)
		}
	}
	return logs, true
}

// loggingEntries are the entries in force, in order, and the providers that the last object
// names which names any.
func (t *telemetries) loggingEntries(inForce []*telemetryObject, mode telemetry.WorkloadMode, parent []string) (entries []loggingEntry, special []string) {
	for _, o := range inForce {
		var named []string
		for i, l := range o.spec.AccessLogging {
			providers := providerNames(l.Providers)
			if inMode(l.GetMatch().GetMode(), mode) {
				for _, name := range providers {
					if !slices.Contains(named, name) {
						named = append(named, name)
					}
				}
			}
			if len(providers) == 0 {
				providers = parent
			}
			parent = providers
			entries = append(entries, loggingEntry{l, o.object, fmt.Sprintf("accessLogging[%d]", i), providers})
		}
		if len(named) > 0 {
			special = named
		}
	}
	return entries, special
}

func appendLog(logs []router.AccessLog, log *router.AccessLog) []router.AccessLog {
	if log == nil {
		return logs
	}
	return append(logs, *log)
}
