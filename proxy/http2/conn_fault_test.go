package http2

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
)

// What an endpoint may get wrong in a response ends that stream, and no other.
func TestConnResponses(t *testing.T) {
	t.Parallel()
	ok := rawHead(1, false, ":status", "200")
	many := []string{":status", "200"}
	for range 101 {
		many = append(many, "x-field", "value")
	}
	interims := make([][]byte, 9)
	for i := range interims {
		interims[i] = rawHead(1, false, ":status", "103")
	}
	tests := map[string]struct {
		method string
		answer []byte
		// failure is what the exchange comes to; status and body what the client got.
		failure proxy.Failure
		status  int
		body    string
		cut     bool
		// reset: the endpoint is told so, by this code.
		reset errCode
	}{
		"fine":                     {answer: join(ok, rawData(1, true, "body")), status: 200, body: "body"},
		"in pieces":                {answer: join(ok, rawData(1, false, "bo"), rawData(1, false, ""), rawData(1, false, "dy"), rawData(1, true, "")), status: 200, body: "body"},
		"padded":                   {answer: join(ok, rawFrame(frameData, flagPadded|flagEndStream, 1, "\x03body\x00\x00\x00")), status: 200, body: "body"},
		"unknown frames":           {answer: join(rawFrame(0x42, 0xff, 1, "what"), ok, rawFrame(0x43, 0, 0, ""), rawFrame(framePriority, 0, 1, "\x00\x00\x00\x00\x01"), rawData(1, true, "body")), status: 200, body: "body"},
		"reset behind the end":     {answer: join(ok, rawData(1, true, "body"), appendReset(nil, 1, codeNone)), status: 200, body: "body"},
		"cut head":                 {answer: rawHead(1, true), failure: proxy.FailProtocol, reset: codeProtocol},
		"no status":                {answer: rawHead(1, true, "server", "x"), failure: proxy.FailProtocol, reset: codeProtocol},
		"late status":              {answer: rawHead(1, true, "server", "x", ":status", "200"), failure: proxy.FailProtocol, reset: codeProtocol},
		"two statuses":             {answer: rawHead(1, true, ":status", "200", ":status", "200"), failure: proxy.FailProtocol, reset: codeProtocol},
		"status 20":                {answer: rawHead(1, true, ":status", "20"), failure: proxy.FailProtocol, reset: codeProtocol},
		"status 2x0":               {answer: rawHead(1, true, ":status", "2x0"), failure: proxy.FailProtocol, reset: codeProtocol},
		"status 099":               {answer: rawHead(1, true, ":status", "099"), failure: proxy.FailProtocol, reset: codeProtocol},
		"status 600":               {answer: rawHead(1, true, ":status", "600"), failure: proxy.FailProtocol, reset: codeProtocol},
		"status 101":               {answer: rawHead(1, false, ":status", "101"), failure: proxy.FailProtocol, reset: codeProtocol},
		"request's pseudo":         {answer: rawHead(1, true, ":status", "200", ":path", "/"), failure: proxy.FailProtocol, reset: codeProtocol},
		"upper case":               {answer: rawHead(1, true, ":status", "200", "Server", "x"), failure: proxy.FailProtocol, reset: codeProtocol},
		"empty name":               {answer: rawHead(1, true, ":status", "200", "", "x"), failure: proxy.FailProtocol, reset: codeProtocol},
		"space in a name":          {answer: rawHead(1, true, ":status", "200", "a b", "x"), failure: proxy.FailProtocol, reset: codeProtocol},
		"line break in a value":    {answer: rawHead(1, true, ":status", "200", "a", "x\r\nset-cookie: y"), failure: proxy.FailProtocol, reset: codeProtocol},
		"NUL in a value":           {answer: rawHead(1, true, ":status", "200", "a", "x\x00y"), failure: proxy.FailProtocol, reset: codeProtocol},
		"space around a value":     {answer: rawHead(1, true, ":status", "200", "a", " x"), failure: proxy.FailProtocol, reset: codeProtocol},
		"connection":               {answer: rawHead(1, true, ":status", "200", "connection", "close"), failure: proxy.FailProtocol, reset: codeProtocol},
		"transfer-encoding":        {answer: rawHead(1, true, ":status", "200", "transfer-encoding", "chunked"), failure: proxy.FailProtocol, reset: codeProtocol},
		"upgrade":                  {answer: rawHead(1, true, ":status", "200", "upgrade", "h3"), failure: proxy.FailProtocol, reset: codeProtocol},
		"keep-alive":               {answer: rawHead(1, true, ":status", "200", "keep-alive", "timeout=5"), failure: proxy.FailProtocol, reset: codeProtocol},
		"two lengths":              {answer: rawHead(1, false, ":status", "200", "content-length", "4", "content-length", "4"), failure: proxy.FailProtocol, reset: codeProtocol},
		"bad length":               {answer: rawHead(1, false, ":status", "200", "content-length", "+4"), failure: proxy.FailProtocol, reset: codeProtocol},
		"length, no body":          {answer: rawHead(1, true, ":status", "200", "content-length", "4"), failure: proxy.FailProtocol, reset: codeProtocol},
		"body too short":           {answer: join(rawHead(1, false, ":status", "200", "content-length", "5"), rawData(1, true, "body")), failure: proxy.FailProtocol, reset: codeProtocol},
		"body too long":            {answer: join(rawHead(1, false, ":status", "200", "content-length", "3"), rawData(1, true, "body")), failure: proxy.FailProtocol, reset: codeProtocol},
		"too many fields":          {answer: rawHead(1, true, many...), failure: proxy.FailProtocol, reset: codeProtocol},
		"too large a head":         {answer: rawHead(1, true, ":status", "200", "a", strings.Repeat("x", 61<<10)), failure: proxy.FailProtocol, reset: codeProtocol},
		"DATA first":               {answer: rawData(1, true, "body"), failure: proxy.FailProtocol, reset: codeProtocol},
		"interim at the end":       {answer: rawHead(1, true, ":status", "103"), failure: proxy.FailProtocol, reset: codeProtocol},
		"nine interims":            {answer: join(interims...), failure: proxy.FailProtocol, reset: codeProtocol},
		"second head":              {answer: join(ok, rawHead(1, false, ":status", "200")), failure: proxy.FailProtocol, reset: codeProtocol},
		"trailers with pseudo":     {answer: join(ok, rawHead(1, true, ":status", "200")), failure: proxy.FailProtocol, reset: codeProtocol},
		"trailers with connection": {answer: join(ok, rawHead(1, true, "connection", "x")), failure: proxy.FailProtocol, reset: codeProtocol},
		"window 0 of a stream":     {answer: appendWindowUpdate(nil, 1, 0), failure: proxy.FailProtocol, reset: codeFlowControl},
		"window over of a stream":  {answer: join(appendWindowUpdate(nil, 1, maxWindow), appendWindowUpdate(nil, 1, maxWindow)), failure: proxy.FailProtocol, reset: codeFlowControl},
		"reset":                    {answer: appendReset(nil, 1, codeInternal), failure: proxy.FailStreamReset},
		"reset within":             {answer: join(ok, rawData(1, false, "body"), appendReset(nil, 1, codeNone)), failure: proxy.FailStreamReset},
		"unknown code":             {answer: appendReset(nil, 1, 77), failure: proxy.FailStreamReset},
		"refused":                  {answer: appendReset(nil, 1, codeRefusedStream), failure: proxy.FailRefusedStream},
		"refused, yet begun":       {answer: join(ok, appendReset(nil, 1, codeRefusedStream)), failure: proxy.FailStreamReset},
		"HEAD":                     {method: "HEAD", answer: rawHead(1, true, ":status", "200", "content-length", "77"), status: 200},
		"HEAD, open":               {method: "HEAD", answer: rawHead(1, false, ":status", "200", "content-length", "77"), status: 200, reset: codeCancel},
		"HEAD with a body":         {method: "HEAD", answer: join(rawHead(1, false, ":status", "200"), rawData(1, true, "body")), status: 200, reset: codeProtocol},
		"204 with a body":          {answer: join(rawHead(1, false, ":status", "204"), rawData(1, true, "body")), status: 204, reset: codeProtocol},
		"304":                      {answer: rawHead(1, true, ":status", "304", "content-length", "77"), status: 304},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{})
			served := make(chan struct{})
			go func() {
				defer close(served)
				r := f.request()
				f.write(test.answer)
				if test.reset != codeNone {
					if got := f.next(frameReset, frameGoAway); got.kind != frameReset || got.code() != test.reset || got.stream != r.stream {
						t.Errorf("frame %d with %v on %d", got.kind, got.code(), got.stream)
					}
				}
				// The connection serves the next one, without a word about the last.
				r = f.next(frameHeaders, frameReset, frameGoAway)
				if r.kind != frameHeaders {
					t.Errorf("frame %d with %v", r.kind, r.code())
				}
				f.write(rawHead(r.stream, true, ":status", "201"))
			}()
			method := test.method
			if method == "" {
				method = "GET"
			}
			down := newClient()
			res := do(t, c, connExchange(method, "/"), down)
			if res.Failure != test.failure || down.cut {
				t.Errorf("failure %d (%v), cut %v", res.Failure, res.Err, down.cut)
			}
			if test.failure != proxy.FailNone && res.Err == nil {
				t.Error("nobody says why")
			}
			if down.status != test.status || down.body.String() != test.body {
				t.Errorf("status %d %q", down.status, down.body.String())
			}
			down = newClient()
			if res := do(t, c, connExchange("GET", "/"), down); res.Failure != proxy.FailNone || down.status != 201 {
				t.Errorf("then: %+v", res)
			}
			<-served
		})
	}
}

// What an endpoint may get wrong about the connection ends it, with a word to the endpoint.
func TestConnFaults(t *testing.T) {
	t.Parallel()
	flood := func(frame []byte, n int) (all []byte) {
		for range n {
			all = append(all, frame...)
		}
		return all
	}
	settings := func(s ...setting) []byte { return appendSettings(nil, s...) }
	tests := map[string]struct {
		answer []byte
		code   errCode
	}{
		"frame too large":        {rawFrame(frameData, 0, 1, strings.Repeat("x", minFrameSize+1)), codeFrameSize},
		"DATA on 0":              {rawData(0, false, "x"), codeProtocol},
		"HEADERS on 0":           {rawHead(0, false, ":status", "200"), codeProtocol},
		"SETTINGS on 1":          {rawFrame(frameSettings, 0, 1, ""), codeProtocol},
		"PING on 1":              {rawFrame(framePing, 0, 1, "12345678"), codeProtocol},
		"DATA never opened":      {rawData(3, false, "x"), codeProtocol},
		"HEADERS never opened":   {rawHead(7, false, ":status", "200"), codeProtocol},
		"HEADERS of an even one": {rawHead(2, false, ":status", "200"), codeProtocol},
		"PUSH_PROMISE":           {rawFrame(framePushPromise, flagEndHeaders, 1, "\x00\x00\x00\x02\x82"), codeProtocol},
		"CONTINUATION alone":     {rawFrame(frameContinuation, flagEndHeaders, 1, ""), codeProtocol},
		"interrupted block":      {join(rawFrame(frameHeaders, 0, 1, "\x88"), rawFrame(framePing, 0, 0, "12345678")), codeProtocol},
		"CONTINUATION flood":     {join(rawFrame(frameHeaders, 0, 1, "\x88"), flood(rawFrame(frameContinuation, 0, 1, ""), 40)), codeEnhanceYourCalm},
		"endless block":          {join(rawFrame(frameHeaders, 0, 1, "\x88"), flood(rawFrame(frameContinuation, 0, 1, strings.Repeat("\x88", minFrameSize)), 5)), codeEnhanceYourCalm},
		"bad block":              {rawBlock(1, true, []byte{0x80}), codeCompression},
		"unknown index":          {rawBlock(1, true, []byte{0xff, 0x20}), codeCompression},
		"padding":                {rawFrame(frameData, flagPadded, 1, "\x05x"), codeProtocol},
		"priority cut":           {rawFrame(frameHeaders, flagPriority|flagEndHeaders, 1, "\x00\x00"), codeFrameSize},
		"short RST_STREAM":       {rawFrame(frameReset, 0, 1, "\x00"), codeFrameSize},
		"short PING":             {rawFrame(framePing, 0, 0, "1234567"), codeFrameSize},
		"short GOAWAY":           {rawFrame(frameGoAway, 0, 0, "1234567"), codeFrameSize},
		"short WINDOW_UPDATE":    {rawFrame(frameWindowUpdate, 0, 0, "123"), codeFrameSize},
		"odd SETTINGS":           {rawFrame(frameSettings, 0, 0, "12345"), codeFrameSize},
		"ack with a payload":     {rawFrame(frameSettings, flagAck, 0, "123456"), codeFrameSize},
		"window 0":               {appendWindowUpdate(nil, 0, 0), codeFlowControl},
		"window over":            {appendWindowUpdate(nil, 0, maxWindow), codeFlowControl},
		"push on":                {settings(setting{settingEnablePush, 1}), codeProtocol},
		"frame size 0":           {settings(setting{settingMaxFrameSize, 0}), codeProtocol},
		"frame size over":        {settings(setting{settingMaxFrameSize, 1 << 24}), codeProtocol},
		"initial window over":    {settings(setting{settingInitialWindowSize, 1 << 31}), codeFlowControl},
		"window made too large":  {join(appendWindowUpdate(nil, 1, maxWindow-defaultWindow), settings(setting{settingInitialWindowSize, maxWindow})), codeFlowControl},
		"connect protocol 2":     {settings(setting{settingEnableConnectProtocol, 2}), codeProtocol},
		"empty DATA flood":       {join(rawHead(1, false, ":status", "200"), flood(rawData(1, false, ""), 200)), codeEnhanceYourCalm},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{})
			served := make(chan struct{})
			go func() {
				defer close(served)
				f.request()
				f.write(test.answer)
				if got := f.next(frameGoAway); got.code() != test.code {
					t.Errorf("GOAWAY with %v", got.code())
				}
				if r, err := f.read(); err == nil {
					t.Errorf("then frame %d", r.kind)
				}
			}()
			down := newClient()
			res := do(t, c, connExchange("GET", "/"), down)
			if res.Failure != proxy.FailProtocol || res.Err == nil || res.Responded && !down.cut {
				t.Errorf("%+v", res)
			}
			<-served
			if c.Acquire(1) != nil {
				t.Error("the connection still takes exchanges")
			}
		})
	}
}
