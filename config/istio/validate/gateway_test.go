package validate

import "testing"

func TestGateway(t *testing.T) {
	t.Parallel()
	expect(t, "Gateway", `{servers: [$]}`, []want{
		{`{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.com, "*.b.com", "*/c.com", "./*", 10.0.0.1, "ns/::1"]}`, "E BadHost servers[0].hosts[5]"},
		{`{port: {number: 80, name: http, protocol: HTTP}, hosts: ["~/a.com", localhost, "*x.com"]}`, "E BadHost servers[0].hosts[0]; E BadHost servers[0].hosts[1]; E BadHost servers[0].hosts[2]"},
		{`{port: {number: 80, name: "no rules here", protocol: GRPC-Web}, hosts: ["*"]}`, ""},
		{`{bind: "unix:///a/", port: {number: 5, name: http, protocol: HTTP}, hosts: ["*"]}`, "E BadAddress servers[0].bind; E Conflict servers[0].port.number"},
		{`{bind: "unix://@abstract", port: {name: http, protocol: HTTP}, hosts: ["*"]}`, ""},
		{`{bind: "::1", port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], defaultEndpoint: "127.0.0.1:80"}`, "W NoEffect servers[0].defaultEndpoint"},
		{`{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true, serverCertificate: /c}}`, "W NoEffect servers[0].tls.serverCertificate; E BadTLS servers[0].tls"},
		{`{port: {number: 80, name: tcp, protocol: TCP}, hosts: ["*"], tls: {httpsRedirect: true}}`, "E BadTLS servers[0].tls; W NoEffect servers[0].tls.httpsRedirect"},
		{`null`, "E Missing servers[0].hosts; E Missing servers[0].port"},
	})
}
