package why

import (
	"strings"

	"github.com/sluicegate/sluice/router"
)

// rules are what the codecs hold requests to, by the last part of the response code details: what
// is wrong, and what to do.
var rules = map[string][2]string{
	"invalid_chunk_size":                   {"a chunk of the body does not begin with its size in hexadecimal", "the client must frame its body as RFC 9112 section 7.1 has it"},
	"invalid_chunk_end":                    {"a chunk of the body is not as long as it says", "the client must frame its body as RFC 9112 section 7.1 has it"},
	"chunk_extensions_too_large":           {"the extensions of a chunk are too long", "let the client leave chunk extensions out"},
	"trailers_too_large":                   {"the trailers are larger than --max-header-bytes", "raise --max-header-bytes, or send fewer trailers"},
	"invalid_header_name":                  {"the name of a header has characters that it may not have", "names are letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.1)"},
	"invalid_header_value":                 {"the value of a header has control characters", "let the client encode the value"},
	"header_without_colon":                 {"a header line has no colon", "the client, or what stands before the proxy, sends a broken head"},
	"folded_header":                        {"a header is continued on the next line", "send each header in one line (RFC 9112 section 5.2)"},
	"invalid_line_ending":                  {"a line of the head does not end as it must", "lines end with CR LF"},
	"header_name_with_underscore":          {"a header has an underscore in its name, which servers may take for a dash", "rename the header, or start the gateway with --header-underscores allow"},
	"too_many_headers":                     {"there are more headers than --max-header-fields", "raise --max-header-fields, or send fewer"},
	"headers_too_large":                    {"the head is larger than --max-header-bytes; cookies are the usual reason", "raise --max-header-bytes, or send less"},
	"too_many_connection_options":          {"Connection lists more than 64 options", "let the client list the headers that are meant for the next hop only"},
	"invalid_content_length":               {"Content-Length is not a number", "let the client send a number"},
	"several_content_lengths":              {"there are several lengths for one body", "let the client send one"},
	"content_length_and_transfer_encoding": {"the body has both Content-Length and Transfer-Encoding, which is how requests are smuggled", "let the client send one of them (RFC 9112 section 6.1)"},
	"unsupported_transfer_encoding":        {"the body has a transfer coding other than chunked", "let the client send it chunked"},
	"transfer_encoding_in_http10":          {"HTTP/1.0 has no Transfer-Encoding", "let the client speak HTTP/1.1, or send Content-Length"},
	"invalid_escape_in_path":               {"the path has a % that two hexadecimal digits do not follow", "let the client write % as %25"},
	"path_above_root":                      {"the path climbs above its root with ..", "let the client ask for the path itself"},
	"escaped_slash_in_path":                {"the path has an escaped slash or a backslash, which servers may take for a slash", "start the gateway with --escaped-slashes keep or redirect, or let the client write / itself"},
	"escaped_slash_redirect":               {"the path has an escaped slash, and the client was sent to the path without (--escaped-slashes redirect)", "let the client write / itself"},
	"invalid_method":                       {"the method is no token", "the client does not speak HTTP here, or speaks TLS at a plaintext port"},
	"invalid_target":                       {"the request's target is no path, no absolute URL and no *", "let the client escape what is no URL: blanks, quotes, control characters"},
	"uri_too_long":                         {"path and query are longer than --max-target-bytes", "raise --max-target-bytes, or send the parameters in a body"},
	"invalid_version":                      {"the request line does not end with a version of HTTP", "let the client speak HTTP/1.1"},
	"unsupported_version":                  {"the version of HTTP is not served", "let the client speak HTTP/1.0, HTTP/1.1 or HTTP/2"},
	"missing_host":                         {"there is no Host", "let the client name the host (RFC 9112 section 3.2)"},
	"several_hosts":                        {"there are several Hosts", "let the client name one"},
	"invalid_host":                         {"the Host is no host", "let the client name a host, with a port or without"},
	"invalid_authority":                    {"the authority is no host", "let the client name a host, with a port or without"},
	"host_differs_from_target":             {"Host and the URL in the request line name different hosts", "let the client name one"},
	"host_differs_from_authority":          {"Host and :authority name different hosts", "let the client name one"},
	"connect_not_allowed":                  {"CONNECT is not served", "this is no forward proxy: ask for the host itself"},
	"several_upgrades":                     {"the client asks to switch to several protocols", "let it ask for one"},
	"invalid_websocket_handshake":          {"the WebSocket handshake is not complete", "let the client send what RFC 6455 section 4.1 asks for"},
	"unsupported_expectation":              {"Expect is not 100-continue", "let the client leave it out"},
	"unknown_expectation":                  {"Expect is not 100-continue", "let the client leave it out"},
	"asterisk_without_options":             {"only OPTIONS may ask for *", "let the client ask for a path"},
	"request_head_timeout":                 {"the head of the request did not come within --header-timeout", "find out what delays the client, or raise --header-timeout"},
	"invalid_scheme":                       {"the scheme is neither http nor https", "let the client send one of them"},
	"unsupported_protocol":                 {"the extended CONNECT asks for a protocol that is not served", "only websocket is"},
	"body_differs_from_content_length":     {"the body is not as long as Content-Length says", "let the client send what it announces"},
	"body_shorter_than_content_length":     {"the body is not as long as Content-Length says", "let the client send what it announces"},
	"method_not_allowed":                   {"the method is not served over HTTP/3", "let the client use another, or HTTP/2"},
	"invalid_header":                       {"a header is not valid", "let the client send names in lower case, and values without control characters"},
	"grpc_base_64_decode_failed":           {"the gRPC-Web body is not base64", "let the client send what application/grpc-web-text is"},
}

// badRequest: the codec did not take the request, or the route not its size.
func (c *inquiry) badRequest() {
	if c.Details == "request_payload_too_large" {
		c.because("the body is larger than the rule allows")
		if r := c.route(); r != nil && r.PolicyInForce().MaxRequestBody > 0 {
			c.because("the body is larger than the %d bytes that the rule allows", r.PolicyInForce().MaxRequestBody)
		}
		c.fix(c.at(""), "raise the bound (of an Ingress: the annotation proxy-body-size), or send less")
		return
	}
	name := c.Details[strings.LastIndexByte(c.Details, '.')+1:]
	rule, known := rules[name]
	if !known {
		c.because("the request is not valid: %s", orUnknown(c.Details))
		c.fix(router.Origin{}, "let the client send what the protocol asks for")
		return
	}
	c.because("the request is not valid: %s (%s)", rule[0], c.Details)
	c.fix(router.Origin{}, "%s", rule[1])
}

// withoutFlag: what the proxy answered itself without a flag, or an upstream with 5xx.
func (c *inquiry) withoutFlag() {
	switch c.Details {
	case "via_upstream":
		c.because("%s of %s answered this itself: the proxy only passed it on", orUnknown(c.UpstreamHost), c.Cluster)
		c.tries()
		c.fix(router.Origin{}, "look for x-request-id %s in the log of what runs there", orUnknown(c.ID))
	case "direct_response":
		c.because("the rule answers so itself (directResponse)")
		c.fix(c.at("directResponse"), "if that is not meant for this request: put a rule that takes it before this one, or narrow its match")
	case "source_not_allowed":
		c.because("the rule does not let clients from %s in", c.Client)
		c.fix(c.at(""), "allow the address, or see whether --trusted-hops finds the client behind other proxies")
	case "rewritten_path_not_normal":
		c.because("the rule's rewrite leads the path out of where it seems to")
		c.fix(c.at("rewrite"), "let prefix and rewrite both end in a slash, or neither")
	case "misdirected_request":
		c.because("the host %s is not served on this TLS connection (server name %s)", c.Authority, orUnknown(c.ServerName))
		c.fix(router.Origin{}, "the client reused a connection whose certificate covers both hosts: it asks again on one of its own. Where it does not, give the hosts certificates of their own")
	default:
		c.because("the proxy answered this itself: %s", orUnknown(c.Details))
		c.fix(c.Rule, "see what %s means in docs/data-path.md", orUnknown(c.Details))
	}
}

// fault: a policy failed it on purpose.
func (c *inquiry) fault() {
	c.because("the rule's fault injection did it on purpose")
	c.fix(c.at("fault.abort"), "remove fault, or lower its percentage")
}
