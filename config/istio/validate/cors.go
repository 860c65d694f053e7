package validate

import (
	"net/http"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// corsMethods are the methods that a CORS policy can allow.
var corsMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace, "*",
}

// cors checks a CORS policy.
func (c *checker) cors(at *config.Path, policy *networking.CorsPolicy) {
	if policy == nil {
		return
	}
	for i, origin := range policy.AllowOrigins {
		at := at.Field("allowOrigins").Index(i)
		if origin.GetExact() == "" && origin.GetPrefix() == "" && origin.GetRegex() == "" {
			c.fail(Missing, at, "an origin to allow must not be empty: write exact, prefix or regex")
			continue
		}
		c.regexMatch(at, origin)
	}
	//lint:ignore SA1019 deprecated and still in files
	if len(policy.AllowOrigin) > 0 {
		c.info(Deprecated, at.Field("allowOrigin"), "allowOrigin is deprecated: write allowOrigins, with exact: before each origin")
	}
	for i, method := range policy.AllowMethods {
		if !slices.Contains(corsMethods, method) {
			c.fail(OutOfRange, at.Field("allowMethods").Index(i), "%q is not a method of HTTP: write GET, POST and so on, in upper case", method)
		}
	}
	c.corsHeaders(at.Field("allowHeaders"), policy.AllowHeaders)
	c.corsHeaders(at.Field("exposeHeaders"), policy.ExposeHeaders)
	c.duration(at.Field("maxAge"), policy.MaxAge)
	if policy.GetMaxAge().GetNanos() > 0 {
		c.fail(BadDuration, at.Field("maxAge"), "browsers count whole seconds only: round it")
	}
}

func (c *checker) corsHeaders(at *config.Path, names []string) {
	for i, name := range names {
		if name != "*" {
			c.headerName(at.Index(i), name)
		}
	}
}
