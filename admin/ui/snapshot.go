package ui

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// selfID is the id of the proxy that serves the page. No peer has it: it is no address.
const selfID = "self"

// snapshot is what a page shows at a moment. It is not changed once it is made.
type snapshot struct {
	// number counts the snapshots of a process.
	number  uint64
	at      time.Time
	proxies []shownProxy
}

// shownProxy is a proxy in a snapshot.
type shownProxy struct {
	id string
	// name is what a person called it; empty for what it calls itself.
	name string
	// trouble says why a peer could not be asked; its sections are then those of before.
	trouble string
	// sections with the number of the snapshot in which each changed last.
	sections map[string]shownSection
}

type shownSection struct {
	text  json.RawMessage
	since uint64
}

// follow makes the snapshot after s, which may be nil, from what the proxies told.
func (s *snapshot) follow(number uint64, at time.Time, told []answer) *snapshot {
	next := &snapshot{number: number, at: at, proxies: make([]shownProxy, len(told))}
	for i, t := range told {
		p := shownProxy{id: t.id, name: t.name, sections: make(map[string]shownSection, len(t.sections))}
		before := s.proxy(t.id)
		if t.err != nil {
			p.trouble, p.sections = t.err.Error(), before.sections
		}
		for name, text := range t.sections {
			p.sections[name] = shownSection{text: text, since: number}
			if had, ok := before.sections[name]; ok && bytes.Equal(had.text, text) {
				p.sections[name] = had
			}
		}
		next.proxies[i] = p
	}
	return next
}

func (s *snapshot) proxy(id string) shownProxy {
	if s != nil {
		for _, p := range s.proxies {
			if p.id == id {
				return p
			}
		}
	}
	return shownProxy{}
}

// appendEvent appends the server-sent event that brings a page from a snapshot that it has,
// by its number, to this one; from 0 that is everything.
func (s *snapshot) appendEvent(b []byte, has uint64) []byte {
	b = append(b, "event: update\ndata: {\"at\":"...)
	b = strconv.AppendInt(b, s.at.UnixMilli(), 10)
	b = append(b, `,"proxies":[`...)
	for i, p := range s.proxies {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.append(b, has)
	}
	return append(b, "]}\n\n"...)
}

func (p *shownProxy) append(b []byte, has uint64) []byte {
	b = appendString(append(b, `{"id":`...), p.id)
	b = appendString(append(b, `,"name":`...), p.name)
	b = appendString(append(b, `,"trouble":`...), p.trouble)
	for _, name := range slices.Sorted(maps.Keys(p.sections)) {
		if section := p.sections[name]; section.since > has {
			b = append(appendString(append(b, ','), name), ':')
			b = append(b, section.text...)
		}
	}
	return append(b, '}')
}

// appendString appends a string in JSON, which cannot fail.
func appendString(b []byte, s string) []byte {
	text, _ := json.Marshal(s)
	return append(b, text...)
}
