package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// sourceFlags say where a proxy's state comes from: a live process, or files and
// the proxy that they are compiled for.
type sourceFlags struct {
	config         []string
	admin          string
	role           string
	labels         labels
	workloadLabels labels
	namespace      string
	classes        []string
}

func addSourceFlags(cmd *cobra.Command) *sourceFlags {
	s := &sourceFlags{}
	flags := cmd.Flags()
	flags.StringArrayVarP(&s.config, "config", "c", nil, "compile this `PATH`: a file, a folder, or - for standard input (repeatable)")
	flags.StringVar(&s.admin, "admin", "", "ask the live proxy with this admin `ADDR` instead (default "+defaultAdmin+")")
	flags.StringVar(&s.role, "role", "", "compile as this `ROLE`, gateway or sidecar (default gateway, or sidecar with --workload-labels)")
	flags.Var(&s.labels, "labels", "the gateway's own labels (default istio=ingressgateway)")
	flags.Var(&s.workloadLabels, "workload-labels", "the labels of the sidecar's workload, such as app=productpage,version=v1")
	flags.StringVar(&s.namespace, "namespace", "", "the proxy's namespace, `NS` (default istio-system of a gateway, default of a sidecar)")
	addClassFlag(cmd, &s.classes)
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("role",
		cobra.FixedCompletions([]string{"gateway", "sidecar"}, cobra.ShellCompDirectiveNoFileComp)))
	return s
}

// addClassFlag gives a verb the classes of Ingresses that a gateway serves.
func addClassFlag(cmd *cobra.Command, classes *[]string) {
	cmd.Flags().StringSliceVar(classes, "ingress-class", nil, "Ingresses of this `CLASS` are served too, beside sluice, whatever their IngressClass says (repeatable)")
}

// labels are a flag's value: "app=productpage,version=v1".
type labels map[string]string

// Set reads labels, and adds them to those that are there.
func (l *labels) Set(text string) error {
	if *l == nil {
		*l = labels{}
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q is not name=value", part)
		}
		(*l)[name] = value
	}
	return nil
}

// String returns the labels as Set takes them.
func (l *labels) String() string {
	parts := make([]string, 0, len(*l))
	for _, name := range slices.Sorted(maps.Keys(*l)) {
		parts = append(parts, name+"="+(*l)[name])
	}
	return strings.Join(parts, ",")
}

// Type is what the help shows.
func (l *labels) Type() string { return "K=V,..." }

// sidecar tells whether the flags ask for a sidecar's view.
func (s *sourceFlags) sidecar() bool { return s.role == "sidecar" || len(s.workloadLabels) > 0 }

// load returns the state that the flags ask for.
func (s *sourceFlags) load(cmd *cobra.Command) (proxyState, error) {
	switch {
	case len(s.config) > 0 && s.admin != "":
		return proxyState{}, misusef("--config and --admin are two places to look in: choose one")
	case len(s.config) == 0:
		if s.role != "" || s.labels != nil || s.workloadLabels != nil || s.namespace != "" {
			return proxyState{}, misusef("--role, --labels, --workload-labels and --namespace need --config: a live proxy has its own")
		}
		return loadLive(cmd.Context(), s.admin)
	}
	view, err := s.view()
	if err != nil {
		return proxyState{}, err
	}
	src, err := readSource(s.config)
	if err != nil {
		return proxyState{}, err
	}
	src.ingresses.Classes = append([]string{ingress.DefaultClass}, s.classes...)
	state := src.state(view)
	if state.defects > 0 {
		cmd.PrintErrf("%s in the configuration: see sluice validate\n", count(state.defects, "error"))
	}
	return state, nil
}

// view returns the proxy to compile for.
func (s *sourceFlags) view() (istio.Options, error) {
	switch {
	case s.role != "" && s.role != "gateway" && s.role != "sidecar":
		return istio.Options{}, misusef("--role %q: must be gateway or sidecar", s.role)
	case s.role == "gateway" && s.workloadLabels != nil:
		return istio.Options{}, misusef("--workload-labels are a sidecar's; a gateway has --labels")
	case s.role == "sidecar" && s.labels != nil:
		return istio.Options{}, misusef("--labels are a gateway's; a sidecar has --workload-labels")
	}
	o := istio.Options{Role: istio.Gateway, Labels: s.labels, Namespace: s.namespace}
	if o.Labels == nil {
		o.Labels = map[string]string{"istio": "ingressgateway"}
	}
	fallback := "istio-system"
	if s.sidecar() {
		o.Role, o.Labels = istio.Sidecar, s.workloadLabels
		fallback = "default"
	}
	if o.Namespace == "" {
		o.Namespace = fallback
	}
	return o, nil
}

// source is configuration as somebody wrote it.
type source struct {
	objects []*config.Object
	// conditions are what is wrong with the files as such.
	conditions []config.Condition
	// byName finds objects by kind, namespace and name, which is what origins hold.
	byName map[config.Key]*config.Object
	// ingresses says which Ingresses are served.
	ingresses ingress.Options
}

// objectOf returns the object that an origin names, nil if it is not among them.
func (s source) objectOf(o router.Origin) *config.Object {
	return s.byName[config.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}]
}

// readSource reads files and folders, and standard input for "-". What is wrong
// inside them becomes conditions; a path that is not there is an error.
func readSource(paths []string) (source, error) {
	delta, err := file.Load(paths...)
	if err != nil {
		return source{}, err
	}
	s := source{objects: delta.Set, conditions: delta.Conditions, ingresses: ingress.Options{WithoutClass: true}, byName: make(map[config.Key]*config.Object, len(delta.Set))}
	for _, o := range s.objects {
		s.byName[config.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}] = o
	}
	return s, nil
}

// compile returns what a proxy would make of the source.
func (s source) compile(view istio.Options) istio.Result {
	all := config.Delta{Set: s.objects, Conditions: s.conditions}
	view.CheckTelemetry = telemetry.Check
	if view.Role == istio.Gateway {
		return ingress.NewCompiler(s.ingresses, view).Apply(all)
	}
	return istio.NewCompiler(view).Apply(all)
}

// state compiles the source for one proxy.
func (s source) state(view istio.Options) proxyState {
	result := s.compile(view)
	state := proxyState{spec: result.Spec, sidecar: view.Role == istio.Sidecar, files: s}
	for _, c := range result.Conditions {
		if c.Severity == config.Error {
			state.defects++
		}
	}
	return state
}

// proxyState is what one proxy serves, and the files it was made from where they are known.
type proxyState struct {
	spec    *router.Spec
	sidecar bool
	// trustedHops is the gateway's option of that name.
	trustedHops int
	files       source
	// defects counts the errors in the configuration.
	defects int
	// sockets and upstreams are what a live proxy says of its listeners and
	// clusters, by name; nil for files.
	sockets   map[string]admin.Listener
	upstreams map[string]admin.Cluster
	// certificates are those that a live proxy has in force.
	certificates []admin.Certificate
}

// ruleRef names a piece of configuration and where it stands.
type ruleRef struct {
	router.Origin
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// rule finds where an origin stands.
func (s proxyState) rule(o router.Origin) ruleRef {
	ref := ruleRef{Origin: o}
	if object := s.files.objectOf(o); object != nil && object.File != "" {
		ref.File, ref.Line = object.File, object.Locate(o.Field)
	}
	return ref
}

// String returns "VirtualService default/reviews http[0] (reviews.yaml:12)".
func (r ruleRef) String() string {
	s := r.Origin.String()
	if r.File != "" {
		s += fmt.Sprintf(" (%s:%d)", r.File, r.Line)
	}
	return s
}

// loadLive asks a proxy's admin server for its configuration.
func loadLive(ctx context.Context, address string) (proxyState, error) {
	if address == "" {
		address = defaultAdmin
	}
	var dump admin.Dump
	if err := getAdmin(ctx, address, "/config_dump", &dump); err != nil {
		if _, nobody := errors.AsType[nobodyError](err); nobody {
			err = fmt.Errorf("%w, or read files with --config", err)
		}
		return proxyState{}, err
	}
	if dump.Spec == nil {
		return proxyState{}, fmt.Errorf("the proxy at %s has no configuration yet", address)
	}
	state := proxyState{
		spec: dump.Spec, sidecar: dump.Role == "sidecar",
		sockets: map[string]admin.Listener{}, upstreams: map[string]admin.Cluster{},
	}
	var sockets []admin.Listener
	if err := getAdmin(ctx, address, "/listeners?format=json", &sockets); err != nil {
		return proxyState{}, err
	}
	for _, s := range sockets {
		state.sockets[s.Name] = s
	}
	var upstreams []admin.Cluster
	if err := getAdmin(ctx, address, "/clusters?format=sluice", &upstreams); err != nil {
		return proxyState{}, err
	}
	for _, u := range upstreams {
		state.upstreams[u.Name] = u
	}
	if err := getAdmin(ctx, address, "/certs?format=json", &state.certificates); err != nil {
		return proxyState{}, err
	}
	return state, nil
}
