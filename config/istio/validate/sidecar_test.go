package validate

import "testing"

func TestSidecar(t *testing.T) {
	t.Parallel()
	expect(t, "Sidecar", "", []want{
		{`{workloadSelector: {labels: {"": a}}, egress: [{hosts: ["./*"]}]}`, "E BadLabel workloadSelector.labels"},
		{`{workloadSelector: {}, egress: [{hosts: ["./*"]}]}`, "W NoEffect workloadSelector.labels"},
		{`{inboundConnectionPool: {}}`, "E Missing inboundConnectionPool"},
		{`{egress: [{hosts: ["./a.com", "default/a.com", "./*", "*/*", "x/b"]}]}`, "W Duplicate egress[0].hosts[1]; W Duplicate egress[0].hosts[2]; E BadHost egress[0].hosts[4]; W Duplicate egress[0].hosts"},
		{`{egress: [{hosts: ["A B/c.com", "./1.1.1.1", "a/"]}]}`, "E BadHost egress[0].hosts[0]; E BadHost egress[0].hosts[1]; E BadHost egress[0].hosts[2]"},
		{`{egress: [{port: {number: 80, protocol: HTTP, name: "a b", targetPort: 1}, bind: x, hosts: ["./*"]}]}`, "E NoEffect egress[0].port.targetPort; E BadName egress[0].port.name; E BadAddress egress[0].bind"},
		{`{egress: [{port: {number: 80}, hosts: ["./*"]}, {port: {number: 80, protocol: X}, hosts: ["./*"]}]}`, "E BadProtocol egress[1].port.protocol; E Duplicate egress[1].port.number"},
		{`{egress: [{port: {protocol: HTTP}, bind: "unix:///a", captureMode: IPTABLES, hosts: ["./*"]}, {port: {}, bind: "unix:///a", hosts: ["./*"]}, {port: {}, hosts: ["./*"]}]}`,
			"E Conflict egress[0].captureMode; E Duplicate egress[1].bind; E BadPort egress[2].port.number"},
		{`{outboundTrafficPolicy: {mode: REGISTRY_ONLY, egressProxy: {host: a}}}`, "E Conflict outboundTrafficPolicy.egressProxy"},
		{`{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: "*.a", subset: "b c"}}}`, "E BadHost outboundTrafficPolicy.egressProxy.host; E BadName outboundTrafficPolicy.egressProxy.subset; E Missing outboundTrafficPolicy.egressProxy.port"},
		{`{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b, port: {number: 80}}}}`, ""},
	})
}

func TestSidecarIngress(t *testing.T) {
	t.Parallel()
	expect(t, "Sidecar", "{ingress: [$]}", []want{
		{`{defaultEndpoint: "127.0.0.1:80"}`, "E Missing ingress[0].port"},
		{`{port: {number: 0}, bind: a}`, "E BadPort ingress[0].port.number; E BadAddress ingress[0].bind"},
		{`{port: {number: 80}, defaultEndpoint: "unix:///a"}, {port: {number: 80}, defaultEndpoint: ":80"}`, "E Duplicate ingress[1].port.number"},
		{`{port: {number: 80}, defaultEndpoint: "127.0.0.1"}`, "E BadAddress ingress[0].defaultEndpoint"},
		{`{port: {number: 80}, defaultEndpoint: "[::1]:0"}`, "E BadPort ingress[0].defaultEndpoint"},
		{`{port: {number: 80, protocol: TCP}, connectionPool: {http: {maxRetries: 1}}}`, "W NoEffect ingress[0].connectionPool.http"},
		{`{port: {number: 80, protocol: HTTPS}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}}`, ""},
		{`{port: {number: 80, protocol: HTTP}, tls: {mode: ISTIO_MUTUAL, httpsRedirect: true, subjectAltNames: [a]}}`,
			"E Unsupported ingress[0].tls.subjectAltNames; E Unsupported ingress[0].tls.httpsRedirect; E BadTLS ingress[0].tls.mode; E BadTLS ingress[0].tls"},
		{`{port: {number: 80, protocol: TLS}, tls: {mode: SIMPLE, credentialName: a, credentialNames: [b], tlsCertificates: [{}]}}`,
			"E Unsupported ingress[0].tls.credentialName; E Unsupported ingress[0].tls.credentialNames; E Unsupported ingress[0].tls.tlsCertificates; E Conflict ingress[0].tls"},
	})
}
