package validate

import "testing"

func TestDestinationRule(t *testing.T) {
	t.Parallel()
	expect(t, "DestinationRule", "{host: b, $}", []want{
		{`subsets: [null, {name: a, labels: {a.b/c: "", "": d}}]`, "E Missing subsets[0].name; E BadLabel subsets[1].labels[]"},
		{`subsets: [{name: a, trafficPolicy: {}}]`, "E Missing subsets[0].trafficPolicy"},
		{`exportTo: ["~"]`, "E BadVisibility exportTo[0]"},
		{`exportTo: [".", other], workloadSelector: {matchLabels: {a: b}}`, "E BadVisibility exportTo"},
		{`exportTo: ["*"], workloadSelector: {matchLabels: {a: b}}`, "E BadVisibility exportTo"},
		{`exportTo: [default], workloadSelector: {matchLabels: {a: b}}`, ""},
		{`workloadSelector: {}`, "W NoEffect workloadSelector.matchLabels"},
		{`workloadSelector: {matchLabels: {"": b, c: "*"}}`, "E BadLabel workloadSelector.matchLabels; E BadLabel workloadSelector.matchLabels[c]"},
		{`trafficPolicy: {portLevelSettings: []}`, "E Missing trafficPolicy"},
		{`trafficPolicy: {retryBudget: {percent: 101, budgetInterval: 0s}}`, "E OutOfRange trafficPolicy.retryBudget.percent"},
		{`trafficPolicy: {tunnel: {targetHost: 10.0.0.1, targetPort: 1}, proxyProtocol: {}}`, "E Conflict trafficPolicy.proxyProtocol"},
		{`trafficPolicy: {tunnel: {targetHost: "*.com", targetPort: 0}}`, "E BadHost trafficPolicy.tunnel.targetHost; E BadPort trafficPolicy.tunnel.targetPort"},
		{`trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: MUTUAL, credentialName: a}}, {port: {number: 80}, connectionPool: {}}]}`,
			"W Duplicate trafficPolicy.portLevelSettings[1].port; E Missing trafficPolicy.portLevelSettings[1].connectionPool"},
		{`trafficPolicy: {outlierDetection: {outlierDetectionHttpErrorCodes: [99, 100, 599, 600], maxEjectionPercent: -1}}`,
			"E OutOfRange trafficPolicy.outlierDetection.maxEjectionPercent; E OutOfRange trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes[0]; E OutOfRange trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes[3]"},
	})
}

func TestConnectionPool(t *testing.T) {
	t.Parallel()
	expect(t, "DestinationRule", "{host: b, trafficPolicy: {connectionPool: {$}}}", []want{
		{`tcp: {}`, ""},
		{`tcp: {idleTimeout: 0s}`, ""},
		{`tcp: {idleTimeout: -1s}`, "E BadDuration trafficPolicy.connectionPool.tcp.idleTimeout"},
		{`tcp: {tcpKeepalive: {time: 0s, interval: 0.5ms}}`, "E BadDuration trafficPolicy.connectionPool.tcp.tcpKeepalive.time; E BadDuration trafficPolicy.connectionPool.tcp.tcpKeepalive.interval"},
		{`http: {idleTimeout: 0s, maxRetries: -1}`, "E OutOfRange trafficPolicy.connectionPool.http.maxRetries; E BadDuration trafficPolicy.connectionPool.http.idleTimeout"},
		{`http: {http1MaxPendingRequests: -1, maxRequestsPerConnection: -1, maxConcurrentStreams: -1}`,
			"E OutOfRange trafficPolicy.connectionPool.http.http1MaxPendingRequests; E OutOfRange trafficPolicy.connectionPool.http.maxRequestsPerConnection; E OutOfRange trafficPolicy.connectionPool.http.maxConcurrentStreams"},
		{`http: {http2KeepAlive: {interval: 0s, timeout: 1s}}`, "E BadDuration trafficPolicy.connectionPool.http.http2KeepAlive.interval"},
	})
}
