package validate

import "testing"

func TestServerTLS(t *testing.T) {
	t.Parallel()
	const ok = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	expect(t, "Gateway", `{servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: $}]}`, []want{
		{`{mode: OPTIONAL_MUTUAL, serverCertificate: /c, privateKey: /k}`, "E Missing servers[0].tls.caCertificates"},
		{`{mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertCredentialName: c}`, ""},
		{`{mode: MUTUAL, credentialName: c, caCrl: /l}`, ""},
		{`{mode: SIMPLE, serverCertificate: /c, privateKey: /k, caCrl: /l}`, "E BadTLS servers[0].tls.caCrl"},
		{`{mode: SIMPLE, tlsCertificates: [{serverCertificate: /c, privateKey: /k}, {serverCertificate: /c}]}`, "E Missing servers[0].tls.tlsCertificates[1].privateKey"},
		{`{mode: SIMPLE, tlsCertificates: [{serverCertificate: /c, privateKey: /k}], credentialNames: [a]}`, "E Conflict servers[0].tls"},
		{`{mode: ISTIO_MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /a, credentialNames: [a], tlsCertificates: [{}], caCrl: /l}`,
			"E BadTLS servers[0].tls.serverCertificate; E BadTLS servers[0].tls.privateKey; E BadTLS servers[0].tls.caCertificates; E BadTLS servers[0].tls.tlsCertificates; E BadTLS servers[0].tls.credentialNames"},
		{`{mode: PASSTHROUGH, credentialName: c, caCrl: /l}`, "W NoEffect servers[0].tls.credentialName; W NoEffect servers[0].tls.caCrl; E Conflict servers[0].tls.caCrl"},
		{`{mode: AUTO_PASSTHROUGH, caCrl: /l}`, "W NoEffect servers[0].tls.caCrl"},
		{`{mode: SIMPLE, credentialName: c, cipherSuites: [ALL, ""], minProtocolVersion: TLSV1_1}`, ""},
		{`{mode: SIMPLE, credentialName: c, cipherSuites: [-AES128-SHA, AES128-SHA, TLS_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_RC4_128_SHA]}`,
			"W OutOfRange servers[0].tls.cipherSuites[0]; W BadTLS servers[0].tls.cipherSuites[1]; W Duplicate servers[0].tls.cipherSuites[2]; " +
				"W NoEffect servers[0].tls.cipherSuites[3]; W OutOfRange servers[0].tls.cipherSuites[4]"},
		{`{mode: SIMPLE, credentialName: c, cipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ECDHE-RSA-AES256-GCM-SHA384]}`, ""},
		{`{mode: SIMPLE, credentialName: c, verifyCertificateHash: [` + ok + `], verifyCertificateSpki: [LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=, x]}`, "W OutOfRange servers[0].tls.verifyCertificateSpki[1]"},
	})
}

func TestClientTLS(t *testing.T) {
	t.Parallel()
	expect(t, "DestinationRule", `{host: b, trafficPolicy: {tls: $}}`, []want{
		{`{mode: SIMPLE, credentialName: c, caCertificates: /a}`, "E Conflict trafficPolicy.tls.credentialName"},
		{`{mode: SIMPLE, credentialName: c, insecureSkipVerify: true}`, "E Conflict trafficPolicy.tls.credentialName"},
		{`{mode: MUTUAL, credentialName: c, insecureSkipVerify: true}`, ""},
		{`{mode: MUTUAL, credentialName: c, insecureSkipVerify: true, subjectAltNames: [a]}`, "E Conflict trafficPolicy.tls.subjectAltNames"},
		{`{mode: ISTIO_MUTUAL, insecureSkipVerify: true}`, ""},
		{`{mode: SIMPLE, credentialName: "configmap://default/ca"}`, ""},
		{`{mode: SIMPLE, credentialName: "configmap://ca"}`, ""},
		{`{mode: SIMPLE, credentialName: "configmap://other/ca"}`, "E BadName trafficPolicy.tls.credentialName"},
		{`{mode: SIMPLE, credentialName: "configmap://a/b/c"}`, "E BadName trafficPolicy.tls.credentialName"},
	})
}
