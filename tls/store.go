package tls

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"

	"github.com/sluicegate/sluice/router"
)

// Store holds the certificates that a configuration names. It is safe for concurrent use.
// Handshakes wait for nothing that Update or the reading of files does.
type Store struct {
	options Options
	tickets *tickets
	// published is what handshakes look at.
	published atomic.Pointer[published]
	// demands counts the states that servers have had.
	demands atomic.Uint64

	stop, done chan struct{}
	once       sync.Once
	// doubt has the files looked at again soon.
	doubt chan struct{}

	// mu guards what follows, files being read under it.
	mu sync.Mutex
	// generation counts the Updates.
	generation  uint64
	files       files
	secrets     map[string]*secret
	credentials map[string]*credential
	trusts      map[string]*authorities
	servers     map[string]*server
	clients     map[string]*client
	ticketFile  *ticketFile
	ledger      ledger
	watched     watched
}

// published finds what belongs to a piece of configuration, of the last two configurations:
// the one before is in force until the table of the last is.
type published struct {
	servers, formerServers map[*router.ServerTLS]*server
	clients, formerClients map[*router.ClientTLS]*client
}

// New returns a Store without any configuration. Close ends what it runs. A file of ticket
// keys that cannot be read is a Problem, no error.
func New(options Options) (*Store, error) {
	s := &Store{
		options:     options.withDefaults(),
		stop:        make(chan struct{}),
		done:        make(chan struct{}),
		doubt:       make(chan struct{}, 1),
		files:       files{byPath: map[string]*file{}},
		secrets:     map[string]*secret{},
		credentials: map[string]*credential{},
		trusts:      map[string]*authorities{},
		servers:     map[string]*server{},
		clients:     map[string]*client{},
	}
	s.ledger = ledger{logger: s.options.Logger, problems: map[topic]Problem{}}
	s.published.Store(new(published))
	var err error
	if s.tickets, err = newTickets(s.options.Clock); err != nil {
		return nil, fmt.Errorf("session ticket keys: %w", err)
	}
	s.watched.dirs = map[string]os.FileInfo{}
	if s.watched.notify, err = fsnotify.NewWatcher(); err != nil {
		s.options.Logger.Warn("certificate files are polled only: the system gives no watch", "every", s.options.Poll, "reason", err)
		s.watched.notify = nil
	}
	if path := s.options.TicketKeys; path != "" {
		s.ticketFile = &ticketFile{name: "file " + path, file: s.files.open(path, 0)}
	}
	s.mu.Lock()
	s.follow()
	s.evaluate()
	s.mu.Unlock()
	go s.run()
	return s, nil
}

// Close ends the watching of files. What was handed out stays usable.
func (s *Store) Close() {
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		if s.watched.notify != nil {
			_ = s.watched.notify.Close()
		}
	})
}

// Update takes a configuration that is about to be in force. It reads the files that are new
// in it. What has the same settings and certificates as before stays as it was, sessions
// included; what the configuration before had stays usable until the next Update. A Secret
// that is gone while it is named keeps serving, and is a Problem: taking a certificate out of
// service is done by naming it no more.
func (s *Store) Update(spec *router.Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.takeSecrets(spec.Secrets)
	was := s.published.Load()
	next := &published{
		servers: map[*router.ServerTLS]*server{}, formerServers: was.servers,
		clients: map[*router.ClientTLS]*client{}, formerClients: was.clients,
	}
	for _, l := range spec.Listeners {
		for _, c := range l.Chains {
			if c.TLS != nil {
				next.servers[c.TLS] = s.server(c.TLS, was.servers[c.TLS], c.Name)
			}
		}
	}
	for _, c := range spec.Clusters {
		if c.TLS != nil {
			next.clients[c.TLS] = s.client(c.TLS, was.clients[c.TLS], "cluster "+c.Name)
		}
	}
	s.forget()
	s.follow()
	if s.evaluate() > 0 {
		select {
		case s.doubt <- struct{}{}:
		default:
		}
	}
	s.published.Store(next)
}

// takeSecrets notes which Secrets there are, and which have changed.
func (s *Store) takeSecrets(specs []*router.Secret) {
	there := make(map[string]bool, len(specs))
	for _, spec := range specs {
		if there[spec.Name] {
			continue
		}
		there[spec.Name] = true
		s.secret(spec.Name).take(spec, &s.files.version)
	}
	for name, e := range s.secrets {
		if !there[name] {
			e.take(nil, &s.files.version)
		}
	}
}

// forget drops what the last two configurations did not name.
func (s *Store) forget() {
	named := map[string]bool{}
	for key, e := range s.credentials {
		if e.generation != s.generation {
			delete(s.credentials, key)
			continue
		}
		named[e.name] = true
	}
	for key, e := range s.trusts {
		if e.generation != s.generation {
			delete(s.trusts, key)
			continue
		}
		named[e.name] = true
	}
	for key, e := range s.servers {
		if e.generation != s.generation {
			delete(s.servers, key)
			continue
		}
		named[e.name()] = true
	}
	for key, e := range s.clients {
		if e.generation != s.generation {
			delete(s.clients, key)
		}
	}
	for name, e := range s.secrets {
		if e.generation != s.generation {
			delete(s.secrets, name)
		}
	}
	if s.ticketFile != nil {
		s.ticketFile.file.generation = s.generation
		named[s.ticketFile.name] = true
	}
	s.files.drop(s.generation)
	s.ledger.keep(named)
}

// evaluate takes what has changed in files and Secrets, and makes the configurations anew
// that depend on it. It returns how often what may be half written was read in vain, 0 if
// nothing is.
func (s *Store) evaluate() (tries int) {
	for _, c := range s.credentials {
		if c.evaluate(s) == doubtful {
			tries = max(tries, c.tries)
		}
	}
	for _, a := range s.trusts {
		if a.evaluate(s) == doubtful {
			tries = max(tries, a.tries)
		}
	}
	if t := s.ticketFile; t != nil && t.evaluate(s) == doubtful {
		tries = max(tries, t.tries)
	}
	for _, e := range s.servers {
		e.refresh(s)
	}
	for _, e := range s.clients {
		e.refresh(s)
	}
	return tries
}

// settled tells of what became of a source.
func (s *Store) settled(source string, o outcome, err error, good bool) {
	now := s.options.Clock()
	switch o {
	case loaded, replaced:
		s.ledger.note(source, "load", nil, now)
		if o == replaced {
			s.options.Logger.Info("certificate source replaced", "source", source)
		}
		s.options.Observe(Event{Source: source})
	case broken:
		if good {
			err = fmt.Errorf("%w; the last good version stays in force", err)
		}
		s.ledger.note(source, "load", err, now)
		s.options.Observe(Event{Source: source, Err: err.Error()})
	}
}

// fingerprint identifies settings by what they say.
func fingerprint(settings any) string {
	text, err := json.Marshal(settings)
	if err != nil {
		// Plain data always marshals.
		panic(err)
	}
	return string(text)
}
