package start

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/admin/ui"
)

func TestPeers(t *testing.T) {
	var f Flags
	for given, want := range map[string]*ui.Peer{
		"127.0.0.1:15005":      {Address: "127.0.0.1:15005"},
		"reviews=[::1]:15006":  {Name: "reviews", Address: "[::1]:15006"},
		"reviews=":             nil,
		"":                     nil,
		"127.0.0.1":            nil,
		":15005":               nil,
		"127.0.0.1:0":          nil,
		"127.0.0.1:70000":      nil,
		"http://127.0.0.1:1":   nil,
		"a@b:1":                nil,
		"127.0.0.1:1/ui/state": nil,
	} {
		f.UIPeers = []string{given}
		list, err := f.peers()
		switch {
		case want == nil && (err == nil || !strings.Contains(err.Error(), "must be HOST:PORT or NAME=HOST:PORT")):
			t.Errorf("%q is taken as %v, %v", given, list, err)
		case want != nil && (err != nil || !reflect.DeepEqual(list, []ui.Peer{*want}) || !reflect.DeepEqual(f.Peers()(), list)):
			t.Errorf("%q is taken as %v, %v", given, list, err)
		}
	}
	f.UIPeers = nil
	if f.Peers() != nil {
		t.Error("without the flag there are peers")
	}
	f.UIPeers = make([]string, ui.MaxPeers+1)
	for i := range f.UIPeers {
		f.UIPeers[i] = "127.0.0.1:15005"
	}
	if _, err := f.peers(); err == nil || !strings.Contains(err.Error(), "more than a page shows (64)") {
		t.Errorf("too many peers end with %v", err)
	}
}
