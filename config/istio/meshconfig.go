package istio

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	meshv1 "istio.io/api/mesh/v1alpha1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// meshConfig is the mesh's configuration in force; without an object it is the default.
type meshConfig struct {
	object *config.Object
	spec   *meshv1.MeshConfig
	// format and fields are those of access logs without a format of their own, and
	// formatError why they cannot be read.
	format      string
	json        bool
	fields      []router.LogField
	formatError string
	lookupEnv   func(string) (string, bool)
}

// builtin are the providers that there are without configuration, as in Istio.
var builtin = []*meshv1.MeshConfig_ExtensionProvider{
	{Name: prometheusProvider, Provider: &meshv1.MeshConfig_ExtensionProvider_Prometheus{Prometheus: &meshv1.MeshConfig_ExtensionProvider_PrometheusMetricsProvider{}}},
	{Name: "envoy", Provider: &meshv1.MeshConfig_ExtensionProvider_EnvoyFileAccessLog{EnvoyFileAccessLog: &meshv1.MeshConfig_ExtensionProvider_EnvoyFileAccessLogProvider{Path: "/dev/stdout"}}},
	{Name: "stackdriver", Provider: &meshv1.MeshConfig_ExtensionProvider_Stackdriver{Stackdriver: &meshv1.MeshConfig_ExtensionProvider_StackdriverProvider{}}},
}

func newMeshConfig(o *config.Object, spec *meshv1.MeshConfig, lookupEnv func(string) (string, bool)) *meshConfig {
	if spec == nil {
		spec = &meshv1.MeshConfig{}
	}
	m := &meshConfig{object: o, spec: spec, lookupEnv: lookupEnv, json: spec.AccessLogEncoding == meshv1.MeshConfig_JSON}
	if !m.json {
		m.format = spec.AccessLogFormat
	} else if spec.AccessLogFormat != "" {
		var members map[string]any
		if err := json.Unmarshal([]byte(spec.AccessLogFormat), &members); err != nil {
			m.formatError = fmt.Sprintf("with accessLogEncoding JSON it must be a JSON object whose values are formats (%v); the default format is used", err)
		}
		m.fields = logFields(members)
	}
	return m
}

// logFields turns a JSON object of formats into fields, by name.
func logFields(members map[string]any) []router.LogField {
	var fields []router.LogField
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch value := members[name].(type) {
		case map[string]any:
			fields = append(fields, router.LogField{Name: name, Fields: logFields(value)})
		case string:
			fields = append(fields, router.LogField{Name: name, Text: value})
		case float64:
			fields = append(fields, router.LogField{Name: name, Text: strconv.FormatFloat(value, 'f', -1, 64)})
		case bool:
			fields = append(fields, router.LogField{Name: name, Text: strconv.FormatBool(value)})
		}
	}
	return fields
}

// provider returns the provider of a name, nil where there is none.
func (m *meshConfig) provider(name string) *meshv1.MeshConfig_ExtensionProvider {
	for _, list := range [][]*meshv1.MeshConfig_ExtensionProvider{m.spec.ExtensionProviders, builtin} {
		for _, p := range list {
			if p.GetName() == name {
				return p
			}
		}
	}
	return nil
}

// providerNames are the names of all providers, for people.
func (m *meshConfig) providerNames() []string {
	var names []string
	for _, list := range [][]*meshv1.MeshConfig_ExtensionProvider{m.spec.ExtensionProviders, builtin} {
		for _, p := range list {
			names = append(names, p.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fileLog is the log that the mesh's configuration has without any provider.
func (m *meshConfig) fileLog() ([]router.AccessLog, bool) {
	if m.spec.AccessLogFile == "" {
		return nil, false
	}
	log := router.AccessLog{File: m.spec.AccessLogFile, Text: m.format, JSON: m.json, Fields: m.fields, Origin: m.origin("accessLogFile")}
	if m.spec.AccessLogFormat != "" {
		log.Origin = m.origin("accessLogFormat")
	}
	return []router.AccessLog{log}, true
}

func (m *meshConfig) origin(field string) router.Origin {
	if m.object == nil {
		return router.Origin{}
	}
	return originOf(m.object, "data.mesh."+field)
}

// accessLog is the log of a provider; nil where there is no such one, or it takes no logs.
func (m *meshConfig) accessLog(name string) *router.AccessLog {
	p := m.provider(name)
	log := &router.AccessLog{Provider: name, Origin: m.origin("extensionProviders")}
	if file := p.GetEnvoyFileAccessLog(); file != nil {
		log.File = cmp.Or(file.Path, "/dev/stdout")
		log.OmitEmpty = file.OmitEmptyValues
		switch {
		case file.LogFormat.GetText() != "":
			log.Text = file.LogFormat.GetText()
		case file.LogFormat.GetLabels() != nil:
			log.JSON, log.Fields = true, structFields(file.LogFormat.GetLabels())
		default:
			log.Text, log.JSON, log.Fields = m.format, m.json, m.fields
		}
		return log
	}
	if als := p.GetEnvoyOtelAls(); als != nil {
		log.OTLP = m.otlp(als.Service, als.Port)
		log.OTLP.LogName = als.LogName
		log.OTLP.Attributes = structFields(als.LogFormat.GetLabels())
		log.Text = als.LogFormat.GetText()
		return log
	}
	return nil
}

func structFields(s *structpb.Struct) []router.LogField {
	if s == nil {
		return nil
	}
	return logFields(s.AsMap())
}

// metricsProviders are those of a mesh that says nothing else.
func (m *meshConfig) metricsProviders() []string {
	if names := m.spec.GetDefaultProviders().GetMetrics(); len(names) > 0 {
		return names
	}
	return []string{prometheusProvider}
}

func (m *meshConfig) isPrometheus(name string) bool { return m.provider(name).GetPrometheus() != nil }

// tracer is what the first provider of names comes to, or the tracer of the proxies' default
// configuration; nil where there is none.
func (m *meshConfig) tracer(names []string) *router.Tracing {
	if len(names) == 0 {
		if m.spec.GetEnableTracing() && m.legacyTracer() != "" {
			return &router.Tracing{Provider: m.legacyTracer(), B3: true}
		}
		return nil
	}
	p := m.provider(names[0])
	switch {
	case p == nil:
		return nil
	case p.GetOpentelemetry() != nil:
		of := p.GetOpentelemetry()
		t := &router.Tracing{Provider: names[0], W3C: true, OTLP: m.otlp(of.Service, of.Port), MaxTagLength: int(of.MaxTagLength)}
		if http := of.Http; http != nil {
			t.OTLP.HTTP, t.OTLP.Path, t.OTLP.Timeout = true, http.Path, http.Timeout.AsDuration()
			t.OTLP.Headers = m.headers(http.Headers)
		} else if grpc := of.Grpc; grpc != nil {
			t.OTLP.Timeout, t.OTLP.Headers = grpc.Timeout.AsDuration(), m.headers(grpc.InitialMetadata)
		}
		return t
	case p.GetZipkin() != nil:
		zipkin := p.GetZipkin()
		return &router.Tracing{
			Provider: names[0], B3: true, MaxTagLength: int(zipkin.MaxTagLength),
			W3C: zipkin.TraceContextOption == meshv1.MeshConfig_ExtensionProvider_ZipkinTracingProvider_USE_B3_WITH_W3C_PROPAGATION,
		}
	}
	// Datadog, Lightstep and the like have headers of their own, which pass.
	return nil
}

// legacyTracer names the tracer of the proxies' default configuration (defaultConfig.tracing).
func (m *meshConfig) legacyTracer() string {
	switch m.spec.GetDefaultConfig().GetTracing().GetTracer().(type) {
	case *meshv1.Tracing_Zipkin_:
		return "zipkin"
	case *meshv1.Tracing_Lightstep_:
		return "lightstep"
	case *meshv1.Tracing_Datadog_:
		return "datadog"
	case *meshv1.Tracing_Stackdriver_:
		return "stackdriver"
	case *meshv1.Tracing_OpenCensusAgent_:
		return "openCensusAgent"
	}
	return ""
}

// otlp is a collector behind a service, "[namespace/]host".
func (m *meshConfig) otlp(service string, port uint32) *router.OTLP {
	host := service
	if _, after, ok := strings.Cut(service, "/"); ok {
		host = after
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	key := clusterKey{host: host, port: uint16(port)}
	return &router.OTLP{Cluster: key.String(), Address: host + ":" + strconv.FormatUint(uint64(port), 10)}
}

// collector adds the cluster of a collector.
func (m *meshConfig) collector(to map[clusterKey]struct{}, o *router.OTLP) {
	if o == nil {
		return
	}
	at := strings.LastIndexByte(o.Address, ':')
	if port, err := strconv.ParseUint(o.Address[at+1:], 10, 16); err == nil {
		to[clusterKey{host: o.Address[:at], port: uint16(port)}] = struct{}{}
	}
}

func (m *meshConfig) headers(list []*meshv1.MeshConfig_ExtensionProvider_HttpHeader) []router.Header {
	var out []router.Header
	for _, h := range list {
		value := h.GetValue()
		if name := h.GetEnvName(); name != "" {
			value, _ = m.lookupEnv(name)
		}
		out = append(out, router.Header{Name: strings.ToLower(h.GetName()), Value: value})
	}
	return out
}

// setFields are the names of the fields of a message that are set.
func setFields(m proto.Message) []string {
	var names []string
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		names = append(names, f.JSONName())
		return true
	})
	slices.Sort(names)
	return names
}
