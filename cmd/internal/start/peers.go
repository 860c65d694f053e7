package start

import (
	"net"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/admin/ui"
)

// Peers returns what --ui-peer names, once Check has run.
func (f *Flags) Peers() func() []ui.Peer {
	list, err := f.peers()
	if err != nil || len(list) == 0 {
		return nil
	}
	return func() []ui.Peer { return list }
}

func (f *Flags) peers() ([]ui.Peer, error) {
	var list []ui.Peer
	for _, s := range f.UIPeers {
		var p ui.Peer
		var named bool
		if p.Name, p.Address, named = strings.Cut(s, "="); !named {
			p.Name, p.Address = "", s
		}
		host, port, err := net.SplitHostPort(p.Address)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, "/?#@ ") {
			return nil, Misusef("--ui-peer %q: must be HOST:PORT or NAME=HOST:PORT, such as 127.0.0.1:15005", s)
		}
		list = append(list, p)
	}
	if len(list) > ui.MaxPeers {
		return nil, Misusef("--ui-peer: %d proxies are more than a page shows (%d)", len(list), ui.MaxPeers)
	}
	return list, nil
}
