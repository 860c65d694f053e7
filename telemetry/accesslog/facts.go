package accesslog

// fact is what nearly every line tells, and a source has at hand: a switch finds it where a
// function of each operator's own would have to be fetched and called.
type fact uint8

const (
	noFact fact = iota

	// Those that are text: first what only requests have.
	factMethod
	factPath
	factAuthority
	factRequestID
	factProtocol
	factDetails
	factUpstreamLocal
	factTermination
	factUpstreamFailure
	factUpstreamHost
	factCluster
	factRoute
	factServerName

	// Those that are numbers.
	factStatus
	factBytesReceived
	factBytesSent
	factDuration
	factServiceTime
)

// isText and isNumber say what a fact is; noFact is neither.
func (f fact) isText() bool   { return f != noFact && f < factStatus }
func (f fact) isNumber() bool { return f >= factStatus }

// text returns a fact, "" where there is none.
func (s source) text(f fact) string {
	if f < factTermination {
		return s.requestText(f)
	}
	switch f {
	case factTermination:
		return s.termination()
	case factUpstreamFailure:
		return s.upstreamFailure()
	case factUpstreamHost:
		return s.upstreamHost()
	case factCluster:
		return s.cluster()
	case factRoute:
		return s.route()
	case factServerName:
		return s.serverName()
	}
	return ""
}

// requestText is text of what only requests have.
func (s source) requestText(f fact) string {
	ex := s.ex
	if ex == nil {
		return ""
	}
	switch f {
	case factMethod:
		return ex.Request.Method
	case factPath:
		return ex.Request.Path
	case factAuthority:
		return ex.Request.Authority
	case factRequestID:
		return ex.RequestID
	case factProtocol:
		return ex.Protocol
	case factDetails:
		return ex.Details
	case factUpstreamLocal:
		return ex.UpstreamLocal
	}
	return ""
}

// number returns a fact, something negative where there is none.
func (s source) number(f fact) int64 {
	switch f {
	case factStatus:
		return int64(status(s))
	case factBytesReceived:
		n, _ := s.bytes()
		return n
	case factBytesSent:
		_, n := s.bytes()
		return n
	case factDuration:
		return s.duration().Milliseconds()
	case factServiceTime:
		if s.ex != nil {
			return s.ex.ResponseServiceTime
		}
	}
	return -1
}
