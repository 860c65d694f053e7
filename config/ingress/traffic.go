package ingress

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// traffic reads how an Ingress' services are spoken to; nil where nothing is said.
func (a *annotations) traffic() *networking.TrafficPolicy {
	p := &networking.TrafficPolicy{}
	used := a.backendProtocol(p)
	if d, ok := a.seconds("proxy-connect-timeout"); ok {
		if d < time.Millisecond {
			a.bad("proxy-connect-timeout", "must be more than nothing; it has no effect")
		} else {
			if p.ConnectionPool == nil {
				p.ConnectionPool = &networking.ConnectionPoolSettings{}
			}
			p.ConnectionPool.Tcp = &networking.ConnectionPoolSettings_TCPSettings{ConnectTimeout: durationpb.New(d)}
			used = true
		}
	}
	if p.LoadBalancer = a.balancer(); p.LoadBalancer != nil {
		used = true
	}
	if !used {
		return nil
	}
	return p
}

// backendProtocol says what the services speak, and whether anything is said of it.
func (a *annotations) backendProtocol(p *networking.TrafficPolicy) bool {
	protocol := strings.ToUpper(a.text("backend-protocol"))
	switch protocol {
	case "", "HTTP", "AUTO_HTTP":
		if sni, _ := a.first("proxy-ssl-name", "proxy-ssl-server-name"); a.text(sni) != "" && !idle(a.text(sni)) {
			a.add(config.Info, AnnotationNotServed, sni, "it has no effect without backend-protocol: HTTPS or GRPCS")
		}
		return false
	case "HTTPS", "GRPC", "GRPCS":
	default:
		a.add(config.Error, BadAnnotation, "backend-protocol", "%q: must be HTTP, HTTPS, GRPC or GRPCS; what the service speaks is not served here, so that the Ingress' paths answer 503", protocol)
		a.closed = true
		return false
	}
	if strings.HasPrefix(protocol, "GRPC") {
		p.ConnectionPool = &networking.ConnectionPoolSettings{Http: &networking.ConnectionPoolSettings_HTTPSettings{
			H2UpgradePolicy: networking.ConnectionPoolSettings_HTTPSettings_UPGRADE,
		}}
	}
	if strings.HasSuffix(protocol, "S") {
		// ingress-nginx does not verify either, unless proxy-ssl-verify says so.
		p.Tls = &networking.ClientTLSSettings{Mode: networking.ClientTLSSettings_SIMPLE, InsecureSkipVerify: wrapperspb.Bool(true)}
		if name := a.text("proxy-ssl-name"); name != "" && a.flag("proxy-ssl-server-name", false) {
			if problem := hostProblem(normalHost(name)); problem != "" || strings.Contains(name, "*") {
				a.bad("proxy-ssl-name", "is no host, and has no effect")
			} else {
				p.Tls.Sni = normalHost(name)
			}
		}
	}
	return true
}

// balancer says which endpoint of a service gets a request; nil for any that is not busy.
func (a *annotations) balancer() *networking.LoadBalancerSettings {
	switch affinity := a.text("affinity"); affinity {
	case "":
	case "cookie":
		return byHash(&networking.LoadBalancerSettings_ConsistentHashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie{HttpCookie: a.sessionCookie()}})
	default:
		a.bad("affinity", "must be cookie; it has no effect")
	}
	for name := range a.values {
		if strings.HasPrefix(name, "session-cookie-") && knownAnnotations[name].effect == served || name == "affinity-mode" {
			a.add(config.Warning, AnnotationNotServed, name, "it has no effect without affinity: cookie")
		}
	}
	if key := a.text("upstream-hash-by"); key != "" {
		if hash := hashBy(key); hash != nil {
			return byHash(hash)
		}
		a.add(config.Warning, AnnotationNotServed, "upstream-hash-by",
			"%q: endpoints can be taken by $remote_addr, $http_NAME, $cookie_NAME or $arg_NAME alone; any that is not busy is taken", key)
	}
	switch a.text("load-balance") {
	case "", "ewma":
	case "round_robin":
		return &networking.LoadBalancerSettings{LbPolicy: &networking.LoadBalancerSettings_Simple{Simple: networking.LoadBalancerSettings_ROUND_ROBIN}}
	default:
		a.bad("load-balance", "must be round_robin or ewma; it has no effect")
	}
	return nil
}

func byHash(hash *networking.LoadBalancerSettings_ConsistentHashLB) *networking.LoadBalancerSettings {
	return &networking.LoadBalancerSettings{LbPolicy: &networking.LoadBalancerSettings_ConsistentHash{ConsistentHash: hash}}
}

// hashBy reads one variable of nginx; nil where there is no word for it here.
func hashBy(key string) *networking.LoadBalancerSettings_ConsistentHashLB {
	key = strings.TrimSuffix(strings.Replace(key, "${", "$", 1), "}")
	if key == "$remote_addr" || key == "$binary_remote_addr" {
		return &networking.LoadBalancerSettings_ConsistentHashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp{UseSourceIp: true}}
	}
	kind, name, ok := strings.Cut(key, "_")
	if !ok || !token.MatchString(name) || strings.Contains(name, "$") {
		return nil
	}
	switch kind {
	case "$http":
		return &networking.LoadBalancerSettings_ConsistentHashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName{HttpHeaderName: strings.ReplaceAll(name, "_", "-")}}
	case "$arg":
		return &networking.LoadBalancerSettings_ConsistentHashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName{HttpQueryParameterName: name}}
	case "$cookie":
		return &networking.LoadBalancerSettings_ConsistentHashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie{HttpCookie: &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: name}}}
	}
	return nil
}

// sessionCookie is the cookie by which a client's requests keep to an endpoint.
func (a *annotations) sessionCookie() *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie {
	cookie := &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: "INGRESSCOOKIE", Path: "/", Ttl: durationpb.New(0)}
	if name := a.text("session-cookie-name"); name != "" {
		if token.MatchString(name) {
			cookie.Name = name
		} else {
			a.bad("session-cookie-name", "is no name of a cookie; it counts as %q", cookie.Name)
		}
	}
	if p := a.text("session-cookie-path"); p != "" {
		if strings.HasPrefix(p, "/") && !strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == ';' || r == 0x7f }) {
			cookie.Path = p
		} else {
			a.bad("session-cookie-path", "must begin with /; it counts as %q", cookie.Path)
		}
	}
	for _, name := range []string{"session-cookie-max-age", "session-cookie-expires"} {
		if a.text(name) != "" {
			if n := a.number(name, 0, 0, 1<<31-1); n > 0 {
				cookie.Ttl = durationpb.New(time.Duration(n) * time.Second)
				break
			}
		}
	}
	a.cookieAttributes(cookie)
	if mode := a.text("affinity-mode"); mode != "" && mode != "balanced" && mode != "persistent" {
		a.bad("affinity-mode", "must be balanced or persistent; it has no effect")
	}
	return cookie
}

// cookieAttributes reads what else is said of the cookie.
func (a *annotations) cookieAttributes(cookie *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie) {
	set := func(name, value string) {
		cookie.Attributes = append(cookie.Attributes, &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie_Attribute{Name: name, Value: value})
	}
	if site := a.text("session-cookie-samesite"); site != "" {
		switch strings.ToLower(site) {
		case "none", "lax", "strict":
			set("SameSite", strings.ToUpper(site[:1])+strings.ToLower(site[1:]))
		default:
			a.bad("session-cookie-samesite", "must be None, Lax or Strict; it has no effect")
		}
	}
	if a.flag("session-cookie-secure", false) {
		set("Secure", "")
	}
	if domain := a.text("session-cookie-domain"); domain != "" {
		if problem := hostProblem(normalHost(strings.TrimPrefix(domain, "."))); problem == "" && !strings.Contains(domain, "*") {
			set("Domain", domain)
		} else {
			a.bad("session-cookie-domain", "is no domain; it has no effect")
		}
	}
}

// clientAuth says which client certificates are asked for.
type clientAuth struct {
	// secret holds the authorities, in the Ingress' namespace.
	secret   string
	optional bool
}

// clientAuth reads the group of auth-tls, nil where there is none.
func (a *annotations) clientAuth(namespace string) *clientAuth {
	secret, verify := a.text("auth-tls-secret"), strings.ToLower(a.text("auth-tls-verify-client"))
	if secret == "" {
		if verify == "on" || verify == "optional" {
			a.close("auth-tls-verify-client", "client certificates have nothing to be checked against: name a Secret in auth-tls-secret")
		}
		return nil
	}
	ns, name, ok := strings.Cut(secret, "/")
	if !ok {
		ns, name = namespace, secret
	}
	switch {
	case verify == "off":
		return nil
	case ns != namespace:
		a.close("auth-tls-secret", "%q: a Secret of another namespace is not read: put the authorities into one of %s", secret, namespace)
		return nil
	case name == "" || strings.Contains(name, "/"):
		a.close("auth-tls-secret", "%q: must be NAMESPACE/NAME", secret)
		return nil
	case verify != "" && verify != "on" && verify != "optional":
		a.close("auth-tls-verify-client", "%q: clients with a certificate that cannot be verified are not let in: write on or optional", verify)
		return nil
	}
	if depth := a.number("auth-tls-verify-depth", 1, 0, 1000); a.text("auth-tls-verify-depth") != "" {
		a.add(config.Info, AnnotationNotServed, "auth-tls-verify-depth", "%d: chains of any length are verified, up to an authority of the Secret", depth)
	}
	return &clientAuth{secret: name, optional: verify == "optional"}
}
