package dns

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxUDP is how large an answer may be by UDP: what passes every network whole (the
	// recommendation of DNS Flag Day 2020).
	maxUDP = 1232
	// maxChain bounds the aliases on the way to an address, maxAddrs the addresses.
	maxChain = 16
	maxAddrs = 1024
)

// reply is what became of a question: addresses, or why there are none.
type reply struct {
	addrs []netip.Addr
	ttl   time.Duration
	err   *Error
	// truncated tells that the answer did not fit.
	truncated bool
}

// question returns the message that asks q.
func question(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 512), dnsmessage.Header{ID: id, RecursionDesired: true})
	var opt dnsmessage.ResourceHeader
	err := opt.SetEDNS0(maxUDP, dnsmessage.RCodeSuccess, false)
	for _, step := range []func() error{
		b.StartQuestions, func() error { return b.Question(q) },
		b.StartAdditionals, func() error { return b.OPTResource(opt, dnsmessage.OPTResource{}) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// read takes an answer to q. ours is false for a message that is none: it may be a stranger's,
// and says nothing about the true one.
func read(message []byte, id uint16, q dnsmessage.Question) (r reply, ours bool) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || h.ID != id || h.OpCode != 0 {
		return r, false
	}
	asked, err := p.Question()
	if err != nil || asked.Type != q.Type || asked.Class != q.Class || !strings.EqualFold(asked.Name.String(), q.Name.String()) {
		return r, false
	}
	if _, err := p.Question(); err != dnsmessage.ErrSectionDone {
		return r, false
	}
	if h.Truncated {
		return reply{truncated: true}, true
	}
	switch h.RCode {
	case dnsmessage.RCodeSuccess:
		return readRecords(&p, q), true
	case dnsmessage.RCodeNameError:
		return failed("no such name", true), true
	case dnsmessage.RCodeServerFailure:
		return failed("the server failed (SERVFAIL)", false), true
	case dnsmessage.RCodeRefused:
		return failed("the server refused the question", false), true
	}
	return failed("the server answered "+strings.TrimPrefix(h.RCode.String(), "RCode"), false), true
}

func failed(cause string, notFound bool) reply {
	return reply{err: &Error{Cause: cause, NotFound: notFound}}
}

var errMalformed = failed("the answer is malformed", false)

// records are those of an answer, by the name that they belong to.
type records struct {
	aliases map[string]alias
	addrs   map[string][]netip.Addr
	ttl     map[string]uint32
	total   int
}

type alias struct {
	target string
	ttl    uint32
}

// readRecords finds the addresses of q's name, through aliases, in whatever order they
// come. Records of other names count for nothing.
func readRecords(p *dnsmessage.Parser, q dnsmessage.Question) reply {
	all := records{aliases: map[string]alias{}, addrs: map[string][]netip.Addr{}, ttl: map[string]uint32{}}
	for {
		h, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil || !all.take(p, h, q.Type) {
			return errMalformed
		}
	}
	name, least := strings.ToLower(q.Name.String()), uint32(1<<31-1)
	for range maxChain {
		if addrs := all.addrs[name]; len(addrs) > 0 {
			return reply{addrs: addrs, ttl: time.Duration(min(least, all.ttl[name])) * time.Second}
		}
		next, ok := all.aliases[name]
		if !ok {
			break
		}
		name, least = next.target, min(least, next.ttl)
	}
	return failed("it has no addresses", true)
}

// take reads a record, and notes it where it is of use.
func (r *records) take(p *dnsmessage.Parser, h dnsmessage.ResourceHeader, want dnsmessage.Type) bool {
	if h.Class != dnsmessage.ClassINET || h.Type != want && h.Type != dnsmessage.TypeCNAME {
		return p.SkipAnswer() == nil
	}
	name := strings.ToLower(h.Name.String())
	// RFC 2181 section 8: a TTL with the highest bit set is none.
	ttl := h.TTL
	if ttl > 1<<31-1 {
		ttl = 0
	}
	switch h.Type {
	case dnsmessage.TypeCNAME:
		record, err := p.CNAMEResource()
		if err != nil {
			return false
		}
		if _, ok := r.aliases[name]; !ok {
			r.aliases[name] = alias{strings.ToLower(record.CNAME.String()), ttl}
		}
		return true
	case dnsmessage.TypeA:
		record, err := p.AResource()
		r.add(name, netip.AddrFrom4(record.A), ttl)
		return err == nil
	default:
		record, err := p.AAAAResource()
		r.add(name, netip.AddrFrom16(record.AAAA), ttl)
		return err == nil
	}
}

// add notes an address, if one can connect to it: a name that is blocked often stands for
// 0.0.0.0, where this very machine would answer.
func (r *records) add(name string, addr netip.Addr, ttl uint32) {
	if addr = addr.Unmap(); addr.IsUnspecified() || addr.IsMulticast() || r.total >= maxAddrs {
		return
	}
	r.total++
	if known, ok := r.ttl[name]; ok {
		ttl = min(ttl, known)
	}
	r.ttl[name] = ttl
	r.addrs[name] = append(r.addrs[name], addr)
}
