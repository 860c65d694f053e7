package generate

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// shaker makes connections one after the other, each with a TLS handshake and one request.
type shaker struct {
	Load
	config  *tls.Config
	request []byte
	reader  *bufio.Reader
	result  Result
}

// shakeHands has each of the Connections make handshakes in turn.
func (l Load) shakeHands(ctx context.Context, atRate bool) (Result, error) {
	shakers := make([]*shaker, l.Connections)
	for i := range shakers {
		s := &shaker{Load: l, config: l.tlsConfig(), request: newRequest(l, newChooser(l)).append(nil), reader: bufio.NewReader(nil)}
		s.result.Latency = new(Histogram)
		if l.Protocol == work.Resumption {
			s.config.SessionTicketsDisabled = false
			s.config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			// The first handshake is a full one, for its ticket.
			if err := s.once(ctx, false); err != nil {
				return Result{}, fmt.Errorf("a first handshake with %s: %w", l.Addr, err)
			}
		}
		shakers[i] = s
	}
	if l.Ready != nil {
		l.Ready()
	}
	start := time.Now()
	var all sync.WaitGroup
	for i, s := range shakers {
		all.Go(func() { s.run(ctx, atRate, start, i) })
	}
	all.Wait()
	res := Result{Elapsed: time.Since(start), Latency: new(Histogram)}
	for _, s := range shakers {
		res.Requests += s.result.Requests
		res.Failed += s.result.Failed
		res.Latency.Merge(s.result.Latency)
		if res.Problem == "" {
			res.Problem = s.result.Problem
		}
	}
	return res, ctx.Err()
}

// run makes the handshakes of one line, as they come due or one upon the other.
func (s *shaker) run(ctx context.Context, atRate bool, start time.Time, first int) {
	total := int(s.Duration.Seconds() * float64(s.Rate))
	for n := first; ctx.Err() == nil; n += s.Connections {
		due := time.Now()
		switch {
		case atRate && n >= total, !atRate && due.Sub(start) >= s.Duration:
			return
		case atRate:
			due = start.Add(time.Duration(float64(n) * 1e9 / float64(s.Rate)))
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(due)):
			}
		}
		err := errors.New("not begun within " + s.drain.String())
		if time.Since(start) < s.Duration+s.drain {
			err = s.once(ctx, s.Protocol == work.Resumption)
		}
		switch {
		case err == nil:
			s.result.Requests++
			s.result.Latency.Add(time.Since(due))
		case ctx.Err() == nil:
			s.result.Failed++
			if s.result.Problem == "" {
				s.result.Problem = err.Error()
			}
		}
	}
}

// once makes one handshake and one request.
func (s *shaker) once(ctx context.Context, resumed bool) error {
	raw, err := (&net.Dialer{Timeout: patience, KeepAlive: -1}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	c := tls.Client(raw, s.config)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if err := c.Handshake(); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	if c.ConnectionState().DidResume != resumed {
		if resumed {
			return errors.New("the TLS session was not resumed")
		}
		return errors.New("a TLS session was resumed that should not have been")
	}
	if _, err := c.Write(s.request); err != nil {
		return err
	}
	s.reader.Reset(c)
	resp, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if problem := wrong(resp.StatusCode, int(n), s.Want); problem != "" {
		return errors.New(problem)
	}
	return nil
}
