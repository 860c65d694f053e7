package role

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/sluicegate/sluice/config"
)

// Reasons of conditions on listeners.
const (
	// PortTaken: another socket has the address.
	PortTaken config.Reason = "PortTaken"
	// PortForbidden: the process may not have the port.
	PortForbidden config.Reason = "PortForbidden"
	// AddressUnknown: the machine does not have the address.
	AddressUnknown config.Reason = "AddressUnknown"
	// BindFailed is any other trouble with a socket.
	BindFailed config.Reason = "BindFailed"
)

// bindCondition says that a listener cannot be bound.
func bindCondition(b Bind, err error) config.Condition {
	reason, _ := diagnose(b, err)
	return config.Condition{
		Severity: config.Error,
		Reason:   reason,
		Object:   config.Key{Kind: "Listener", Name: b.Listener},
		Message:  explainBind(b, err),
	}
}

// explainBind says why a socket cannot be bound, and the way out.
func explainBind(b Bind, err error) string {
	_, text := diagnose(b, err)
	return fmt.Sprintf("cannot listen on %s: %s; it is tried again", b.asked(), text)
}

// ofDatagrams marks the address of a UDP socket, for people.
const ofDatagrams = "/udp"

// asked is the address that was asked for, for people.
func (b Bind) asked() string {
	if b.Datagrams {
		return b.Address + ofDatagrams
	}
	return b.Address
}

func diagnose(b Bind, err error) (config.Reason, string) {
	elsewhere := ""
	if b.Instead != "" {
		elsewhere = ", or listen elsewhere: " + b.Instead
	}
	var own *takenBy
	switch {
	case errors.As(err, &own):
		return PortTaken, "listener " + own.listener + " has it; give one of them another port or address" + elsewhere
	case errors.Is(err, syscall.EADDRINUSE):
		return PortTaken, "another process or listener has it; stop that one" + elsewhere
	case errors.Is(err, os.ErrPermission):
		return PortForbidden, "this user may not; grant CAP_NET_BIND_SERVICE, lower the sysctl net.ipv4.ip_unprivileged_port_start" + elsewhere
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return AddressUnknown, "no network interface has this address; correct it, or leave it out to take the address of the process"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return BindFailed, err.Error() + elsewhere
}

// takenBy is the error of a socket whose address a listener of this process has.
type takenBy struct {
	error
	listener string
}

func (t *takenBy) Unwrap() error { return t.error }

// blame names the listener that has the address of a socket that cannot be bound, where it is one
// of ours: by whatever address, operators would look for another process in vain.
func (s *listeners) blame(b Bind, err error) error {
	at, parseErr := netip.ParseAddrPort(b.Address)
	if parseErr != nil || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	suffix := fmt.Sprint(":", at.Port())
	for _, l := range s.held {
		if l.server == nil || l.Datagrams != b.Datagrams || !strings.HasSuffix(l.Address, suffix) {
			continue
		}
		if has, parseErr := netip.ParseAddrPort(l.Address); parseErr != nil || !covers(has.Addr(), at.Addr()) && !covers(at.Addr(), has.Addr()) {
			continue
		}
		return &takenBy{err, l.Listener}
	}
	return err
}

// covers tells whether a socket at an address takes what is sent to another. That of :: takes
// IPv4 too.
func covers(a, b netip.Addr) bool {
	return a == b || a.IsUnspecified() && (a.Is6() || b.Is4())
}
