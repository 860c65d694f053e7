package decode

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	kubejson "sigs.k8s.io/json"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/internal/manifest"
)

var (
	unknownJSONField = regexp.MustCompile(`^unknown field "(.*)"$`)
	// wrongJSONType takes the path, without indexes, and the wanted type out of the
	// message of encoding/json.
	wrongJSONType = regexp.MustCompile(`cannot unmarshal (\S+) .*into Go struct field [^. ]+\.(\S+) of type (\S+)`)
)

// Kubernetes fills object, a pointer to a struct with the fields of a kind of Kubernetes', from
// the manifest of o, whose version must be one of served. It is not ok where one of the
// conditions is an Error.
func Kubernetes(o *config.Object, served []string, object any) (conditions []config.Condition, ok bool) {
	typed, conditions := decodeWith(o, served, func(d *decoder, root *yaml.Node) any {
		d.kubernetes(object, root)
		return object
	})
	o.Place(conditions)
	return conditions, typed != nil
}

// Nearest returns the one of names that is most like name, or "" where none is near enough
// to be what was meant.
func Nearest(name string, names []string) string { return nearest(name, names) }

// kubernetes fills object, a pointer to a struct of package kube, from root.
func (d *decoder) kubernetes(object any, root *yaml.Node) {
	strict, err := kubejson.UnmarshalStrict(manifest.AppendJSON(nil, root), object)
	if err != nil {
		d.failed = true
		field, message := "", "does not fit the API: "+strings.TrimPrefix(err.Error(), "json: ")
		if match := wrongJSONType.FindStringSubmatch(err.Error()); match != nil {
			field, message = match[2], "must be "+goType(match[3])+", not "+match[1]
		}
		d.conditions = append(d.conditions, config.Condition{Severity: config.Error, Reason: BadValue, Field: field, Message: message})
		return
	}
	if d.object.Kind == "Pod" {
		// Pods are read for their labels and address. Fields that a newer Kubernetes
		// gave them are no concern of anybody here.
		return
	}
	for _, problem := range strict {
		if match := unknownJSONField.FindStringSubmatch(problem.Error()); match != nil {
			d.conditions = append(d.conditions, config.Condition{
				Severity: config.Warning, Reason: UnknownField, Field: match[1], Message: "unknown field, without effect: check its spelling (upper and lower case count)",
			})
		}
	}
}

// goType says what a Go type takes, for messages.
func goType(name string) string {
	name = strings.TrimLeft(name, "*")
	switch {
	case name == "string":
		return "a string"
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"):
		return "a whole number"
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case strings.HasPrefix(name, "map["):
		return "a mapping from names to values"
	}
	return "a " + name
}
