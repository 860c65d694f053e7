package ingress

import (
	"regexp"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// rewriteTarget reads what a path becomes on its way to the service; "" for itself.
func (a *annotations) rewriteTarget() string {
	target := a.text("rewrite-target")
	problem := ""
	switch {
	case target == "":
		return ""
	case strings.HasPrefix(target, "http://"), strings.HasPrefix(target, "https://"), strings.HasPrefix(target, "$scheme"):
		problem = "is a URL: write it as permanent-redirect or temporal-redirect"
	case variables(target):
		problem = "has variables of nginx, which mean nothing here: only $1 to $9 do"
	case !strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "$"):
		problem = "must begin with /"
	case strings.ContainsAny(target, "?#\"'") || !visible(target):
		problem = "has a query, a fragment or blanks, which no path has"
	default:
		return target
	}
	a.add(config.Error, BadAnnotation, "rewrite-target", "%q: %s; as the service would not understand the paths as they are, they answer 503", target, problem)
	a.closed = true
	return ""
}

// rewritten returns the rewrite of a path to a target: as in ingress-nginx of the whole path,
// whatever part of it was matched. expression is the path's own, "" where it is none; in the
// target $1 to $9 stand for its groups. missing is a group that there is not.
func rewritten(target, pathExpression string) (r *networking.RegexRewrite, missing int) {
	groups := 0
	match := "^/.*$"
	if pathExpression != "" {
		match = "^(?i:" + pathExpression + ").*$"
		groups = regexp.MustCompile(match).NumSubexp()
	}
	var b strings.Builder
	for i := 0; i < len(target); i++ {
		switch c := target[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c == '$' && i+1 < len(target) && target[i+1] >= '1' && target[i+1] <= '9':
			i++
			if n := int(target[i] - '0'); n > groups {
				missing = n
			} else {
				b.WriteString(`\` + strconv.Itoa(n))
			}
		default:
			b.WriteByte(c)
		}
	}
	return &networking.RegexRewrite{Match: match, Rewrite: b.String()}, missing
}
