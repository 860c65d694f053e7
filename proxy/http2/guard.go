package http2

import "github.com/sluicegate/sluice/proxy"

var (
	errAnswerFlood   = &connError{codeEnhanceYourCalm, "too many frames to answer, and none of the answers read"}
	errRapidReset    = &connError{codeEnhanceYourCalm, "too many streams end before they are answered"}
	errSettingsFlood = &connError{codeEnhanceYourCalm, "too many SETTINGS"}
	errEmptyFlood    = &connError{codeEnhanceYourCalm, "too many empty frames"}
	errPriorityFlood = &connError{codeEnhanceYourCalm, "too many PRIORITY frames"}
	errUpdateFlood   = &connError{codeEnhanceYourCalm, "too many WINDOW_UPDATE frames"}
)

// guard counts what a client does that costs us more than it. It belongs to the reading
// goroutine.
type guard struct {
	streams, priorities, updates int
	// empty counts the frames in a row that say nothing.
	empty int
	// resetsSoFar are of the connection; resets and settings of the period that began at.
	resetsSoFar, resets, settings int
	began                         int64
}

// period begins a new period where the last is over.
func (g *guard) period(c *session) {
	if c.now-g.began > int64(c.options.Abuse.ResetPeriod) {
		g.began, g.resets, g.settings = c.now, 0, 0
	}
}

// frame counts a frame by its kind.
func (g *guard) frame(c *session, h frameHeader) *connError {
	limits := &c.options.Abuse
	switch h.kind {
	case frameData, frameHeaders, frameContinuation:
		if h.length > 0 || h.kind == frameData && h.has(flagEndStream) || h.kind != frameData && h.has(flagEndHeaders) {
			g.empty = 0
			return nil
		}
		if g.empty++; g.empty > limits.EmptyFrames {
			c.options.observe(proxy.ConnHTTP2EmptyFlood)
			return errEmptyFlood
		}
	case frameSettings:
		g.period(c)
		if g.settings++; g.settings > limits.SettingsFrames {
			c.options.observe(proxy.ConnHTTP2ControlFlood)
			return errSettingsFlood
		}
	case framePriority:
		if g.priorities++; g.priorities > limits.PriorityFrames*(g.streams+1) {
			c.options.observe(proxy.ConnHTTP2PriorityFlood)
			return errPriorityFlood
		}
	}
	return nil
}

// windowUpdate counts a WINDOW_UPDATE. The caller holds mu.
func (g *guard) windowUpdate(c *session) *connError {
	g.updates++
	if g.updates <= 5+2*(g.streams+c.options.Abuse.WindowUpdates*(c.dataSent+1)) {
		return nil
	}
	c.options.observe(proxy.ConnHTTP2UpdateFlood)
	return errUpdateFlood
}

// reset counts a stream that ended before it was answered, by the client's will (CVE-2023-44487)
// or by its mistakes (CVE-2025-8671).
func (g *guard) reset(c *session) *connError {
	g.period(c)
	g.resets++
	g.resetsSoFar++
	many := g.streams > 2*c.options.MaxConcurrentStreams && 2*g.resetsSoFar > g.streams
	if g.resets <= c.options.Abuse.Resets && !many {
		return nil
	}
	c.options.observe(proxy.ConnHTTP2RapidReset)
	return errRapidReset
}
