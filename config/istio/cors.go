package istio

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// compileCORS returns a rule's cross-origin policy, nil where it has none. The
// deprecated list of origins counts where there is no other.
func compileCORS(in *networking.CorsPolicy) *router.CORS {
	if in == nil {
		return nil
	}
	out := &router.CORS{
		AllowMethods:     strings.Join(in.AllowMethods, ","),
		AllowHeaders:     strings.Join(in.AllowHeaders, ","),
		ExposeHeaders:    strings.Join(in.ExposeHeaders, ","),
		MaxAge:           in.MaxAge.AsDuration(),
		HasMaxAge:        in.MaxAge != nil,
		AllowCredentials: in.AllowCredentials.GetValue(),
		ForwardUnmatched: in.UnmatchedPreflights != networking.CorsPolicy_IGNORE,
	}
	for _, origin := range in.AllowOrigins {
		out.AllowOrigins = append(out.AllowOrigins, compileOrigin(origin))
	}
	if len(in.AllowOrigins) == 0 {
		for _, origin := range in.AllowOrigin {
			out.AllowOrigins = append(out.AllowOrigins, router.StringMatch{Kind: router.MatchExact, Value: origin})
		}
	}
	return out
}

// compileOrigin leaves an expression as it is: for an origin, "*" is no word for presence.
func compileOrigin(m *networking.StringMatch) router.StringMatch {
	switch t := m.GetMatchType().(type) {
	case *networking.StringMatch_Prefix:
		return router.StringMatch{Kind: router.MatchPrefix, Value: t.Prefix}
	case *networking.StringMatch_Regex:
		return router.StringMatch{Kind: router.MatchRegex, Value: t.Regex}
	}
	return router.StringMatch{Kind: router.MatchExact, Value: m.GetExact()}
}
