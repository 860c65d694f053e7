package kube

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// user takes the name of who asked out of the API server's answer.
var user = regexp.MustCompile(`User "([^"]+)" cannot`)

// forbidden says which kinds this proxy may not read, and how to allow it; "" where it may
// read all.
func (c *Cluster) forbidden() string {
	who := ""
	// The resources by the namespace in which they are asked for.
	denied := map[string][]string{}
	for _, s := range c.sources {
		if s.state != forbidden || !s.needed() {
			continue
		}
		denied[s.namespace] = append(denied[s.namespace], s.resource.String())
		if match := user.FindStringSubmatch(s.err.Error()); match != nil {
			who = match[1]
		}
	}
	if len(denied) == 0 {
		return ""
	}
	var names, commands []string
	for _, namespace := range slices.Sorted(maps.Keys(denied)) {
		list := denied[namespace]
		slices.Sort(list)
		list = slices.Compact(list)
		if namespace == "" {
			names = append(names, strings.Join(list, ", "))
		} else {
			names = append(names, fmt.Sprintf("%s in the namespace %s", strings.Join(list, ", "), namespace))
		}
		commands = append(commands, grant(namespace, list, who, ""))
	}
	return fmt.Sprintf("%s may not list and watch %s (403). To allow it: %s",
		cmp.Or(who, "this proxy"), strings.Join(names, "; "), strings.Join(commands, " && "))
}

// dispensable says which kinds this proxy may not read though it would like to, what follows, and
// how to allow it; a line for each.
func (c *Cluster) dispensable() (lines []string) {
	for _, s := range c.sources {
		if s.state != forbidden || s.resource.without == "" {
			continue
		}
		who := ""
		if match := user.FindStringSubmatch(s.err.Error()); match != nil {
			who = match[1]
		}
		name := s.name
		if s.resource == node {
			name = "" // more of them may be wanted
		}
		lines = append(lines, fmt.Sprintf("%s may not watch %s (403), so that %s. To allow it: %s",
			cmp.Or(who, "this proxy"), s.resource, s.resource.without, grant(s.namespace, []string{s.resource.String()}, who, name)))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// grant is the command that lets somebody read resources in a namespace, or in all; the one
// with a name, or all.
func grant(namespace string, resources []string, who, name string) string {
	role, where, called, one := "clusterrole", "", "sluice-gateway-read", ""
	if namespace != "" {
		role, where = "role", " -n "+namespace
	}
	if name != "" {
		called, one = called+"-"+resources[0], " --resource-name="+name
	}
	subject := "--user=" + cmp.Or(who, "NAME")
	if account, ok := strings.CutPrefix(who, "system:serviceaccount:"); ok {
		subject = "--serviceaccount=" + account
	}
	return fmt.Sprintf("kubectl create %s %s%s --verb=get,list,watch --resource=%s%s && kubectl create %sbinding %s%s --%s=%s %s",
		role, called, where, strings.Join(resources, ","), one, role, called, where, role, called, subject)
}
