package ingress

import (
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// The defaults of ingress-nginx.
var (
	corsMethods = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}
	corsHeaders = []string{"DNT", "Keep-Alive", "User-Agent", "X-Requested-With", "If-Modified-Since", "Cache-Control", "Content-Type", "Range", "Authorization"}
)

const corsMaxAge = 1728000

var token = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// cors reads the group of enable-cors, nil where there is none.
func (a *annotations) cors() *networking.CorsPolicy {
	if !a.flag("enable-cors", false) {
		for name := range a.values {
			if strings.HasPrefix(name, "cors-") {
				a.add(config.Warning, AnnotationNotServed, name, "it has no effect without enable-cors: \"true\"")
			}
		}
		return nil
	}
	origins, anyOrigin := a.corsOrigins()
	if len(origins) == 0 {
		return nil
	}
	credentials := a.flag("cors-allow-credentials", true)
	if anyOrigin && credentials {
		// With any origin browsers refuse responses to requests with credentials, unless a
		// proxy says each time that the very origin that asks may: then any page could act
		// for its visitors.
		if _, asked := a.values["cors-allow-credentials"]; asked {
			a.add(config.Warning, AnnotationNotServed, "cors-allow-credentials", "credentials are not allowed for any origin (as browsers have it): name the origins in cors-allow-origin")
		}
		credentials = false
	}
	return &networking.CorsPolicy{
		AllowOrigins:        origins,
		AllowMethods:        a.tokens("cors-allow-methods", corsMethods),
		AllowHeaders:        a.tokens("cors-allow-headers", corsHeaders),
		ExposeHeaders:       a.tokens("cors-expose-headers", nil),
		MaxAge:              durationpb.New(time.Duration(a.number("cors-max-age", corsMaxAge, 0, 1<<31-1)) * time.Second),
		AllowCredentials:    wrapperspb.Bool(credentials),
		UnmatchedPreflights: networking.CorsPolicy_IGNORE,
	}
}

// corsOrigins reads which origins may, and whether any may.
func (a *annotations) corsOrigins() (origins []*networking.StringMatch, anyOrigin bool) {
	list := a.list("cors-allow-origin")
	if len(list) == 0 {
		list = []string{"*"}
	}
	for _, origin := range list {
		scheme, host, ok := strings.Cut(origin, "://")
		suffix, wild := strings.CutPrefix(host, "*.")
		switch {
		case origin == "*":
			return []*networking.StringMatch{exact("*")}, true
		case !ok || !token.MatchString(scheme) || strings.ContainsAny(host, "/ ") || host == "" || wild && suffix == "" || strings.Contains(suffix, "*"):
			a.add(config.Warning, BadAnnotation, "cors-allow-origin", "%q: must be an origin such as https://app.example.com or https://*.example.com; no page of it may", origin)
		case wild:
			origins = append(origins, expression(regexp.QuoteMeta(scheme)+`://[A-Za-z0-9._-]+\.`+regexp.QuoteMeta(suffix)))
		default:
			origins = append(origins, exact(origin))
		}
	}
	return origins, false
}

// tokens reads a list of names of methods or headers.
func (a *annotations) tokens(name string, fallback []string) []string {
	list := a.list(name)
	if len(list) == 0 {
		return fallback
	}
	for _, item := range list {
		if !token.MatchString(item) {
			a.bad(name, "must be a list of names, parted by commas; it counts as %q", strings.Join(fallback, ", "))
			return fallback
		}
	}
	return list
}

func exact(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: s}}
}

func startsWith(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s}}
}

func expression(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: s}}
}
