package ingress

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// settings are what an Ingress' annotations ask for, but for what concerns paths' form.
type settings struct {
	// closed: the paths answer 503.
	closed bool
	// sslRedirect sends clients to https where the host has a certificate, forceRedirect
	// everywhere.
	sslRedirect, forceRedirect bool
	useRegex                   bool
	// rewrite is the rewrite-target, "" for none.
	rewrite string
	appRoot *networking.HTTPRedirect
	// redirect answers all requests of the Ingress.
	redirect *networking.HTTPRedirect
	// www has the host with "www." before it, or without, redirected to the other.
	www         bool
	aliases     []string
	passthrough bool

	authority string
	// requestHeaders are set on the way to the service.
	requestHeaders map[string]string
	cors           *networking.CorsPolicy
	retries        *retries
	canary         *canary
	// traffic is how the services are spoken to; nil for as they ask.
	traffic    *networking.TrafficPolicy
	clientAuth *clientAuth
	// policy is what of it Istio's API has no words for.
	policy istio.RoutePolicy
}

// restricts says whether the Ingress keeps some clients out.
func (s *settings) restricts() bool {
	return s.closed || s.clientAuth != nil || len(s.policy.Allow)+len(s.policy.Deny) > 0
}

// newSettings reads the annotations of an Ingress.
func newSettings(o *config.Object) (*settings, []config.Condition) {
	a := newAnnotations(o)
	a.judge()
	s := &settings{
		sslRedirect:   a.flag("ssl-redirect", true),
		forceRedirect: a.flag("force-ssl-redirect", false),
		useRegex:      a.flag("use-regex", false),
		www:           a.flag("from-to-www-redirect", false),
		aliases:       a.aliases(),
		passthrough:   a.flag("ssl-passthrough", false),
		appRoot:       a.appRoot(),
		redirect:      a.redirect(),
		rewrite:       a.rewriteTarget(),
		authority:     a.authority(),
		cors:          a.cors(),
		retries:       a.retries(),
		canary:        a.canary(),
		traffic:       a.traffic(),
		clientAuth:    a.clientAuth(o.Namespace),
	}
	if p := a.text("x-forwarded-prefix"); p != "" && (!visible(p) || strings.Contains(p, "%")) {
		a.bad("x-forwarded-prefix", "must be a path, and has no effect")
	} else if p != "" {
		s.requestHeaders = map[string]string{"x-forwarded-prefix": p}
	}
	s.policy.Allow, s.policy.Deny = a.sources()
	s.policy.MaxRequestBody = a.bodySize()
	s.policy.Limits = a.limits(o.Namespace + "/" + o.Name)
	s.policy.IdleTimeout.Duration = a.idleTimeout()
	a.snippets()
	s.closed = a.closed
	return s, a.conditions
}

// aliases are the further hosts of server-alias.
func (a *annotations) aliases() []string {
	var out []string
	for _, host := range a.list("server-alias") {
		host = normalHost(host)
		if problem := hostProblem(host); problem != "" || host == "*" {
			a.add(config.Warning, BadHost, "server-alias", "%q: must be a host, or *.example.com (this version takes no expressions): it has no effect", host)
			continue
		}
		out = append(out, host)
	}
	return out
}

// redirect reads permanent-redirect and temporal-redirect; as in ingress-nginx the latter
// counts where both are there.
func (a *annotations) redirect() *networking.HTTPRedirect {
	for _, kind := range []struct {
		name string
		code int
	}{{"temporal-redirect", 302}, {"permanent-redirect", 301}} {
		target := a.text(kind.name)
		if target == "" {
			continue
		}
		r, problem := parseRedirect(target)
		if problem != "" {
			a.add(config.Error, BadAnnotation, kind.name, "%q: %s; requests go to the service", target, problem)
			continue
		}
		r.RedirectCode = uint32(a.redirectCode(kind.name+"-code", kind.code))
		return r
	}
	return nil
}

func (a *annotations) redirectCode(name string, fallback int) int {
	switch code := a.number(name, fallback, 300, 308); code {
	case 301, 302, 303, 307, 308:
		return code
	default:
		a.bad(name, "must be 301, 302, 303, 307 or 308; it counts as %d", fallback)
		return fallback
	}
}

// parseRedirect reads where to send clients: a URL, or a path.
func parseRedirect(target string) (*networking.HTTPRedirect, string) {
	// The one variable that is common: the request's path is kept where none is given.
	rest, keep := strings.CutSuffix(target, "$request_uri")
	if variables(rest) {
		return nil, "has variables of nginx, which mean nothing here"
	}
	u, err := url.Parse(rest)
	switch {
	case err != nil || strings.ContainsAny(target, "\"'<>") || !visible(target):
		return nil, "is no URL"
	case u.IsAbs() && u.Scheme != "http" && u.Scheme != "https", u.IsAbs() && u.Host == "", u.User != nil:
		return nil, "must be a URL of http or https, or a path"
	case !u.IsAbs() && (u.Host != "" || !strings.HasPrefix(rest, "/")):
		return nil, "must be a URL of http or https, or a path"
	case u.Fragment != "":
		return nil, "has a fragment, which is not served"
	case keep && u.Path != "" && u.Path != "/" || keep && u.RawQuery != "":
		return nil, "$request_uri may stand right behind the host only"
	}
	r := &networking.HTTPRedirect{Scheme: u.Scheme, Authority: u.Host}
	if !keep {
		r.Uri = u.RequestURI()
	}
	return r, ""
}

// appRoot is where "/" leads to.
func (a *annotations) appRoot() *networking.HTTPRedirect {
	root := a.text("app-root")
	if root == "" {
		return nil
	}
	if !strings.HasPrefix(root, "/") || strings.ContainsAny(root, "#\"'<>") || !visible(root) || root == "/" || variables(root) {
		a.bad("app-root", "must be a path other than /, and it has no effect")
		return nil
	}
	return &networking.HTTPRedirect{Uri: root, RedirectCode: 302}
}

func (a *annotations) authority() string {
	host := a.text("upstream-vhost")
	if host == "" {
		return ""
	}
	if variables(host) || strings.ContainsAny(host, "/\"'") || !visible(host) {
		a.add(config.Error, BadAnnotation, "upstream-vhost", "%q: must be a host, without variables of nginx; the service gets the host that the client asked for", host)
		return ""
	}
	return host
}

// denying are words in snippets that restrict access.
var denying = []string{"deny", "allow", "auth_", "satisfy", "return", "access_by_lua", "secure_link", "limit_", "modsecurity", "valid_referers", "ssl_verify", "if"}

// snippets says what becomes of pieces of nginx's configuration.
func (a *annotations) snippets() {
	for _, name := range []string{"configuration-snippet", "server-snippet"} {
		text := a.text(name)
		if text == "" {
			continue
		}
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n;{}()", r) })
		restricted := ""
		for _, word := range words {
			for _, d := range denying {
				if word == d || strings.HasSuffix(d, "_") && strings.HasPrefix(word, d) || strings.HasPrefix(word, d+"_") {
					restricted = word
				}
			}
		}
		if restricted != "" {
			a.close(name, "%s, and with %q it may restrict access", noSnippets, restricted)
			continue
		}
		a.add(config.Error, AnnotationNotServed, name, "%s", noSnippets)
	}
	if strings.EqualFold(a.text("satisfy"), "any") {
		a.add(config.Warning, AnnotationNotServed, "satisfy", "it has no effect: each of the Ingress' restrictions must hold")
	}
}

// sources reads which client addresses may come in.
func (a *annotations) sources() (allow, deny []netip.Prefix) {
	name, _ := a.first("whitelist-source-range", "allowlist-source-range")
	allow, deny = a.ranges(name), a.ranges("denylist-source-range")
	if everyone(allow) {
		allow = nil
	}
	return allow, deny
}

// ranges reads a list of networks and addresses. One that cannot be read closes the paths.
func (a *annotations) ranges(name string) []netip.Prefix {
	out, problem := parseRanges(a.list(name))
	if problem == "" && a.text(name) != "" && len(out) == 0 {
		problem = fmt.Sprintf("%q: names no network", a.text(name))
	}
	if problem != "" {
		a.close(name, "%s", problem)
		return nil
	}
	return out
}

// parseRanges reads networks and addresses, or says what is wrong with the first that is none.
func parseRanges(list []string) (out []netip.Prefix, problem string) {
	for _, item := range list {
		p, err := netip.ParsePrefix(item)
		if err != nil {
			addr, err := netip.ParseAddr(item)
			if err != nil || addr.Zone() != "" {
				return nil, fmt.Sprintf("%q: must be networks and addresses, such as 10.0.0.0/8, parted by commas", item)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return nil, fmt.Sprintf("%q: write it as a network of IPv4", item)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, ""
}

// everyone says whether ranges of addresses leave nobody out.
func everyone(ranges []netip.Prefix) bool {
	return slices.Contains(ranges, netip.PrefixFrom(netip.IPv4Unspecified(), 0)) && slices.Contains(ranges, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
}

// bodySize reads how large requests' bodies may be, in bytes; 0 for any size.
func (a *annotations) bodySize() int64 {
	text := strings.ToLower(a.text("proxy-body-size"))
	if text == "" {
		return 0
	}
	unit := int64(1)
	for suffix, bytes := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if cut, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = cut, bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<62/unit {
		a.bad("proxy-body-size", "must be a number of bytes, or one with k, m or g behind it; bodies may have any size")
		return 0
	}
	return n * unit
}

// seconds reads a duration of nginx: a number of seconds, or one with a unit.
func (a *annotations) seconds(name string) (time.Duration, bool) {
	value := a.text(name)
	if value == "" {
		return 0, false
	}
	d, ok := parseDuration(value)
	if !ok {
		a.bad(name, "must be a number of seconds, and it has no effect")
	}
	return d, ok
}

// parseDuration reads "60", "60s", "1m", "1h", "500ms".
func parseDuration(value string) (time.Duration, bool) {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	d, err := time.ParseDuration(value)
	return d, err == nil && d >= 0 && d < 1<<31*time.Second
}
