package decode

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// gone says what became of fields that earlier versions of the API had and people
// still have in their files: by message, then by the field's name without case and
// underscores.
var gone = map[protoreflect.Name]map[string]string{
	"HTTPRoute": {
		"websocketupgrade":      "this field is gone, without effect: WebSockets need no setting, remove it",
		"appendheaders":         "this field is gone, without effect: use headers.request.add",
		"appendrequestheaders":  "this field is gone, without effect: use headers.request.add",
		"removerequestheaders":  "this field is gone, without effect: use headers.request.remove",
		"appendresponseheaders": "this field is gone, without effect: use headers.response.add",
		"removeresponseheaders": "this field is gone, without effect: use headers.response.remove",
	},
	"HTTPRouteDestination": {
		"appendrequestheaders":  "this field is gone, without effect: use headers.request.add",
		"removerequestheaders":  "this field is gone, without effect: use headers.request.remove",
		"appendresponseheaders": "this field is gone, without effect: use headers.response.add",
		"removeresponseheaders": "this field is gone, without effect: use headers.response.remove",
	},
	"Abort":                {"percent": "this field is gone, so nothing is aborted: use percentage.value"},
	"OutlierDetection":     {"http": "this field is gone, without effect: its fields stand in outlierDetection itself"},
	"Destination":          {"name": "this field is gone: use host"},
	"PortSelector":         {"name": "ports are chosen by number only: use number"},
	"TLSMatchAttributes":   {"sourcesubnet": "this field is gone, without effect: use sourceLabels or sourceNamespace"},
	"IstioIngressListener": {"localhostclienttls": "this field is gone, without effect: remove it"},
	"IstioEgressListener":  {"localhostservertls": "this field is gone, without effect: remove it"},
}

// foldName is a field's name without case and underscores.
func foldName(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}
