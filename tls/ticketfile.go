package tls

import (
	"fmt"

	"github.com/sluicegate/sluice/router"
)

// ticketFile is where the keys of session tickets are shared. Random ones are used until it
// could be read once.
type ticketFile struct {
	held[[]router.Sensitive]
	name string
	file *file
}

// evaluate takes what has changed.
func (t *ticketFile) evaluate(s *Store) outcome {
	o := t.take(t.file.version, true, func() (*[]router.Sensitive, error) {
		if t.file.err != nil {
			return nil, t.file.err
		}
		keys, err := ParseTicketKeys(t.file.data)
		if err != nil {
			return nil, fmt.Errorf("session ticket keys: %w", err)
		}
		return &keys, s.tickets.share(keys)
	})
	s.settled(t.name, o, t.err, t.good != nil)
	return o
}
