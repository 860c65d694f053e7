package role

import (
	"errors"
	"fmt"
	"net"
	"os"
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
	switch {
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
