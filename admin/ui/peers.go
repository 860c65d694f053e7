package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/admin"
)

const (
	// peerPatience bounds how long a peer may take for its state, questionPatience for what a
	// person asks; maxPeerState is what it may send, in bytes.
	peerPatience     = 900 * time.Millisecond
	questionPatience = 5 * time.Second
	maxPeerState     = 16 << 20
	// peersAtOnce bounds how many are asked at a time.
	peersAtOnce = 16
)

// answer is what a proxy told, or why not.
type answer struct {
	id, name string
	sections sections
	err      error
}

// peers asks other proxies for their states.
type peers struct {
	list   func() []Peer
	client *http.Client
	// limit is maxPeerState.
	limit int64
}

func newPeers(list func() []Peer) *peers {
	if list == nil {
		list = func() []Peer { return nil }
	}
	return &peers{
		limit: maxPeerState,
		list: func() []Peer {
			var known []Peer
			for _, peer := range list() {
				if len(known) < MaxPeers && !slices.ContainsFunc(known, func(k Peer) bool { return k.id() == peer.id() }) {
					known = append(known, peer)
				}
			}
			return known
		},
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: (&net.Dialer{Timeout: peerPatience}).DialContext, MaxIdleConnsPerHost: 1,
				IdleConnTimeout: 10 * time.Second, MaxResponseHeaderBytes: 16 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// ask returns what every peer tells, in their order.
func (p *peers) ask(ctx context.Context) []answer {
	list := p.list()
	told := make([]answer, len(list))
	slots := make(chan struct{}, peersAtOnce)
	var asking sync.WaitGroup
	for i, peer := range list {
		slots <- struct{}{}
		asking.Go(func() {
			told[i] = answer{id: peer.id(), name: peer.Name}
			told[i].sections, told[i].err = p.state(ctx, peer)
			<-slots
		})
	}
	asking.Wait()
	return told
}

func (p *peers) state(ctx context.Context, peer Peer) (sections, error) {
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	response, err := p.get(ctx, peer, "/ui/state")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, p.limit+1))
	switch {
	case err != nil:
		return nil, notReachable(peer, err)
	case int64(len(text)) > p.limit:
		return nil, fmt.Errorf("%s tells more than %d bytes of itself", peer.Address, p.limit)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s to /ui/state: is it the admin server of a Sluice proxy?", peer.Address, response.Status)
	}
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s tells its state in a way that cannot be read: %w", peer.Address, err)
	}
	return s, nil
}

func (p *peers) get(ctx context.Context, peer Peer, target string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+peer.Address+target, nil)
	if err != nil {
		return nil, notReachable(peer, err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, notReachable(peer, err)
	}
	return response, nil
}

func notReachable(peer Peer, err error) error {
	// The address and the path are told already.
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s is not reachable: no answer in time", peer.Address)
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Errorf("%s is not reachable: %w", peer.Address, err)
}

// pass hands a question on to a peer; target is what the peer is asked for.
func (p *peers) pass(target func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := p.list()
		i := slices.IndexFunc(list, func(peer Peer) bool { return peer.id() == r.PathValue("peer") })
		if i < 0 {
			admin.WriteProblem(w, http.StatusNotFound, "there is no such proxy on this page")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), questionPatience)
		defer cancel()
		response, err := p.get(ctx, list[i], target(r))
		if err != nil {
			admin.WriteProblem(w, http.StatusBadGateway, err.Error())
			return
		}
		defer response.Body.Close()
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, io.LimitReader(response.Body, p.limit))
	}
}
