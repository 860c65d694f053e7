package pipeline

import (
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// Locate returns the file and line in which a piece of configuration stands: those of its field
// or of the nearest thing around that. file is empty where the object does not come from a file,
// and where it is not in force any more. It waits for a change that is being applied.
func (p *Pipeline) Locate(o router.Origin) (file string, line int) {
	p.mu.Lock()
	key := config.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
	object := object(key, groupsOf(p.guard.inForce), p.guard.inForce)
	if object == nil || object.File == "" {
		p.mu.Unlock()
		return "", 0
	}
	now, moved := p.guard.lines[object.Key]
	p.mu.Unlock()
	line = object.Locate(o.Field)
	if moved {
		line += now - object.Line
	}
	return object.File, line
}
