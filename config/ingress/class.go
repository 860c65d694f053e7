package ingress

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
)

const (
	// DefaultController is the spec.controller of IngressClasses that are served here.
	DefaultController = "sluice.dev/ingress-controller"
	// DefaultClass is the class that is served whether there is an IngressClass or not.
	DefaultClass = "sluice"

	// classAnnotation names the class of Ingresses from before spec.ingressClassName.
	classAnnotation = "kubernetes.io/ingress.class"
	// defaultClassAnnotation makes an IngressClass that of Ingresses that name none.
	defaultClassAnnotation = "ingressclass.kubernetes.io/is-default-class"
)

// class is an IngressClass in force.
type class struct {
	object     *config.Object
	controller string
	isDefault  bool
}

func newClass(o *config.Object, m *classManifest) *class {
	return &class{object: o, controller: m.Spec.Controller, isDefault: strings.EqualFold(o.Annotations[defaultClassAnnotation], "true")}
}

// classOf returns the class that an Ingress names, and where it does; "" where it names none.
func classOf(o *config.Object, s *spec) (name, field string) {
	if name := o.Annotations[classAnnotation]; name != "" {
		return name, "metadata.annotations[" + classAnnotation + "]"
	}
	if s.IngressClassName != nil {
		return *s.IngressClassName, "ingressClassName"
	}
	return "", ""
}

// serves says whether an Ingress is served here, and what is to be said of it if not.
func (t *translator) serves(o *config.Object, s *spec) (bool, *config.Condition) {
	if t.options.AllClasses {
		return true, nil
	}
	name, field := classOf(o, s)
	if name == "" {
		return t.servesWithoutClass()
	}
	if slices.Contains(t.options.Classes, name) {
		return true, nil
	}
	c := t.classes[name]
	if c != nil && c.controller == t.options.Controller {
		return true, nil
	}
	message := fmt.Sprintf("%q: the class is another controller's, so that this proxy does not serve the Ingress. To have it served, write ingressClassName: %s, or start the gateway with --ingress-class %s", name, t.options.Classes[0], name)
	if c == nil {
		message = fmt.Sprintf("%q: there is no IngressClass of that name, and it is none of those that are served here (%s), so that the Ingress is not served. Correct the name, or start the gateway with --ingress-class %s",
			name, strings.Join(t.options.Classes, ", "), name)
	}
	return false, &config.Condition{Severity: config.Info, Reason: OtherClass, Field: field, Message: message}
}

// servesWithoutClass is serves for an Ingress that names no class.
func (t *translator) servesWithoutClass() (bool, *config.Condition) {
	if t.options.WithoutClass {
		return true, nil
	}
	others := false
	for _, c := range t.classes {
		if c.isDefault && c.controller == t.options.Controller || c.isDefault && slices.Contains(t.options.Classes, c.object.Name) {
			return true, nil
		}
		others = others || c.isDefault
	}
	if others {
		return false, &config.Condition{Severity: config.Info, Reason: OtherClass, Message: fmt.Sprintf("it names no class, and the default class is another controller's, so that this proxy does not serve it. To have it served, write ingressClassName: %s", t.options.Classes[0])}
	}
	return false, &config.Condition{Severity: config.Warning, Reason: NoClass, Message: fmt.Sprintf("it names no class, and no IngressClass is the default, so that it is not served. Write ingressClassName: %s", t.options.Classes[0])}
}
