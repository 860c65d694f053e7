package http2

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// upgrade makes an upgrade of an extended CONNECT (RFC 8441 section 5), as HTTP/1 knows it.
func (st *serverStream) upgrade() {
	h, r := &st.head, &st.ex.Request
	if !strings.EqualFold(h.protocol, "websocket") {
		h.reject(errProtocol)
		return
	}
	version := false
	kept := r.Headers[:0]
	for _, f := range r.Headers {
		switch f.Name {
		case "sec-websocket-key":
			continue
		case "sec-websocket-version":
			version = f.Value == "13"
		}
		kept = append(kept, f)
	}
	if !version || h.length > 0 {
		h.reject(errWebSocket)
	}
	r.Method, r.Upgrade, r.Connection = "GET", "websocket", "Upgrade"
	r.Headers = append(kept, router.Header{Name: "sec-websocket-key", Value: st.webSocketKey()})
}

// webSocketKey makes a key, which HTTP/1 wants and HTTP/2 has not.
func (st *serverStream) webSocketKey() string {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], rand.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], rand.Uint64())
	at := len(st.ex.Scratch)
	st.ex.Scratch = base64.StdEncoding.AppendEncode(st.ex.Scratch, raw[:])
	return st.ex.KeptFrom(at)
}
