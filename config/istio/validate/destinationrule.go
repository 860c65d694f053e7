package validate

import (
	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// destinationRule checks a DestinationRule
// (https://istio.io/latest/docs/reference/config/networking/destination-rule/).
func (c *checker) destinationRule(spec *networking.DestinationRule) {
	if spec.Host == "" {
		c.fail(Missing, field("host"), "a DestinationRule needs a host: the name of a service")
	} else if problem := wildcardProblem(spec.Host); problem != "" {
		c.badHost(field("host"), spec.Host, problem)
	}
	c.trafficPolicy(field("trafficPolicy"), spec.TrafficPolicy)
	names := map[string]int{}
	for i, subset := range spec.Subsets {
		at := field("subsets").Index(i)
		switch first, found := names[subset.Name]; {
		case found:
			c.fail(Duplicate, at.Field("name"), "subsets[%d] is named %q already: names must be unique", first, subset.Name)
		case subset.Name == "":
			c.fail(Missing, at.Field("name"), "a subset needs a name")
		case !isDNSLabel(subset.Name):
			c.fail(BadName, at.Field("name"), "%q is not a subset's name: use letters, digits and '-', at most 63", subset.Name)
		}
		names[subset.Name] = i
		c.labelMap(at.Field("labels"), subset.Labels)
		c.trafficPolicy(at.Field("trafficPolicy"), subset.TrafficPolicy)
	}
	c.exportTo(spec.ExportTo, false, spec.WorkloadSelector != nil)
	if spec.WorkloadSelector != nil {
		c.selector(field("workloadSelector").Field("matchLabels"), spec.WorkloadSelector.MatchLabels)
	}
}

// trafficPolicy checks the policy of a host or of a subset.
func (c *checker) trafficPolicy(at *config.Path, policy *networking.TrafficPolicy) {
	if policy == nil {
		return
	}
	if policy.OutlierDetection == nil && policy.ConnectionPool == nil && policy.LoadBalancer == nil && policy.Tls == nil &&
		len(policy.PortLevelSettings) == 0 && policy.Tunnel == nil && policy.ProxyProtocol == nil && policy.RetryBudget == nil {
		c.fail(Missing, at, "an empty policy says nothing: fill it, or remove it")
		return
	}
	if policy.Tunnel != nil && policy.ProxyProtocol != nil {
		c.fail(Conflict, at.Field("proxyProtocol"), "tunnel and proxyProtocol exclude each other: keep one")
	}
	c.outlierDetection(at.Field("outlierDetection"), policy.OutlierDetection)
	c.connectionPool(at.Field("connectionPool"), policy.ConnectionPool)
	c.loadBalancer(at.Field("loadBalancer"), policy.LoadBalancer, policy.OutlierDetection)
	c.clientTLS(at.Field("tls"), policy.Tls)
	c.portLevelSettings(at.Field("portLevelSettings"), policy.PortLevelSettings)
	c.tunnel(at.Field("tunnel"), policy.Tunnel)
	c.retryBudget(at.Field("retryBudget"), policy.RetryBudget)
}

func (c *checker) portLevelSettings(at *config.Path, settings []*networking.TrafficPolicy_PortTrafficPolicy) {
	ports := map[uint32]int{}
	for i, policy := range settings {
		at := at.Index(i)
		if policy.Port == nil {
			c.fail(Missing, at.Field("port"), "settings of a port need port: {number: ...}")
		} else {
			number := policy.Port.Number
			if first, found := ports[number]; found {
				c.warn(Duplicate, at.Field("port"), "portLevelSettings[%d] is for port %d already: the first one counts", first, number)
			} else {
				ports[number] = i
			}
			if number < 1 || number > 65535 {
				c.warn(BadPort, at.Field("port").Field("number"), "%d is not a port, so the settings apply to none", number)
			}
		}
		if policy.OutlierDetection == nil && policy.ConnectionPool == nil && policy.LoadBalancer == nil && policy.Tls == nil {
			c.fail(Missing, at, "settings of a port need at least one of loadBalancer, connectionPool, outlierDetection and tls")
			continue
		}
		c.outlierDetection(at.Field("outlierDetection"), policy.OutlierDetection)
		c.connectionPool(at.Field("connectionPool"), policy.ConnectionPool)
		c.loadBalancer(at.Field("loadBalancer"), policy.LoadBalancer, policy.OutlierDetection)
		c.clientTLS(at.Field("tls"), policy.Tls)
	}
}

func (c *checker) tunnel(at *config.Path, tunnel *networking.TrafficPolicy_TunnelSettings) {
	if tunnel == nil {
		return
	}
	if p := tunnel.Protocol; p != "" && p != "CONNECT" && p != "POST" {
		c.fail(OutOfRange, at.Field("protocol"), "%q makes no tunnel: write CONNECT or POST", p)
	}
	if problem := nameProblem(tunnel.TargetHost); problem != "" && !isIP(tunnel.TargetHost) {
		c.badHost(at.Field("targetHost"), tunnel.TargetHost, problem)
	}
	c.portNumber(at.Field("targetPort"), tunnel.TargetPort)
}

func (c *checker) retryBudget(at *config.Path, budget *networking.TrafficPolicy_RetryBudget) {
	if budget == nil {
		return
	}
	c.percentage(at.Field("percent"), budget.GetPercent().GetValue())
}

// percentage checks a number from 0 to 100.
func (c *checker) percentage(at *config.Path, v float64) {
	if v < 0 || v > 100 {
		c.fail(OutOfRange, at, "%v is not a percentage: write a number from 0 to 100", v)
	}
}

func (c *checker) outlierDetection(at *config.Path, outlier *networking.OutlierDetection) {
	if outlier == nil {
		return
	}
	c.duration(at.Field("baseEjectionTime"), outlier.BaseEjectionTime)
	c.duration(at.Field("interval"), outlier.Interval)
	//lint:ignore SA1019 deprecated and still in files
	if outlier.ConsecutiveErrors != 0 {
		c.warn(Deprecated, at.Field("consecutiveErrors"), "consecutiveErrors is deprecated: write consecutiveGatewayErrors or consecutive5xxErrors")
	}
	if !outlier.SplitExternalLocalOriginErrors && outlier.ConsecutiveLocalOriginFailures.GetValue() > 0 {
		c.fail(Conflict, at.Field("consecutiveLocalOriginFailures"), "it counts only with splitExternalLocalOriginErrors: true: add that, or remove it")
	}
	c.percentage(at.Field("maxEjectionPercent"), float64(outlier.MaxEjectionPercent))
	c.percentage(at.Field("minHealthPercent"), float64(outlier.MinHealthPercent))
	for i, code := range outlier.OutlierDetectionHttpErrorCodes {
		if code < 100 || code > 599 {
			c.fail(OutOfRange, at.Field("outlierDetectionHttpErrorCodes").Index(i), "%d is not a status of HTTP: write a number from 100 to 599", code)
		}
	}
}

func (c *checker) connectionPool(at *config.Path, pool *networking.ConnectionPoolSettings) {
	if pool == nil {
		return
	}
	if pool.Http == nil && pool.Tcp == nil {
		c.fail(Missing, at, "an empty connection pool says nothing: give tcp or http settings, or remove it")
		return
	}
	c.httpPool(at.Field("http"), pool.Http)
	c.tcpPool(at.Field("tcp"), pool.Tcp)
}

func (c *checker) httpPool(at *config.Path, pool *networking.ConnectionPoolSettings_HTTPSettings) {
	if pool == nil {
		return
	}
	c.notNegative(at.Field("http1MaxPendingRequests"), pool.Http1MaxPendingRequests)
	c.notNegative(at.Field("http2MaxRequests"), pool.Http2MaxRequests)
	c.notNegative(at.Field("maxRequestsPerConnection"), pool.MaxRequestsPerConnection)
	c.notNegative(at.Field("maxRetries"), pool.MaxRetries)
	c.notNegative(at.Field("maxConcurrentStreams"), pool.MaxConcurrentStreams)
	c.duration(at.Field("idleTimeout"), pool.IdleTimeout)
	if pool.UseClientProtocol && pool.H2UpgradePolicy == networking.ConnectionPoolSettings_HTTPSettings_UPGRADE {
		c.fail(Conflict, at.Field("useClientProtocol"), "h2UpgradePolicy: UPGRADE and useClientProtocol exclude each other: keep one")
	}
	if keepAlive := pool.Http2KeepAlive; keepAlive != nil {
		c.duration(at.Field("http2KeepAlive").Field("interval"), keepAlive.Interval)
		c.duration(at.Field("http2KeepAlive").Field("timeout"), keepAlive.Timeout)
	}
}

func (c *checker) tcpPool(at *config.Path, pool *networking.ConnectionPoolSettings_TCPSettings) {
	if pool == nil {
		return
	}
	c.notNegative(at.Field("maxConnections"), pool.MaxConnections)
	c.duration(at.Field("connectTimeout"), pool.ConnectTimeout)
	c.duration(at.Field("maxConnectionDuration"), pool.MaxConnectionDuration)
	if pool.IdleTimeout.AsDuration().Milliseconds() != 0 {
		// 0 turns the timeout off.
		c.duration(at.Field("idleTimeout"), pool.IdleTimeout)
	}
	if keepAlive := pool.TcpKeepalive; keepAlive != nil {
		c.duration(at.Field("tcpKeepalive").Field("time"), keepAlive.Time)
		c.duration(at.Field("tcpKeepalive").Field("interval"), keepAlive.Interval)
	}
}

func (c *checker) notNegative(at *config.Path, v int32) {
	if v < 0 {
		c.fail(OutOfRange, at, "%d is negative: write a limit, or leave it out for none", v)
	}
}
