package identity

import (
	"encoding/base64"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// PeerHeader and PeerIDHeader are the headers by which proxies tell each other who they are,
// of requests and of responses (Envoy's peer metadata, "metadata exchange" in Istio).
const (
	PeerHeader   = "x-envoy-peer-metadata"
	PeerIDHeader = "x-envoy-peer-metadata-id"
)

// MaxPeer bounds the value of PeerHeader that DecodePeer reads, in bytes.
const MaxPeer = 4096

// maxName bounds each name in it: it becomes a label of metrics. No object of Kubernetes has a
// longer one.
const maxName = 253

// labels of the workload that the header carries.
var peerLabels = []string{"app", "version", "service.istio.io/canonical-name", "service.istio.io/canonical-revision"}

// EncodePeer returns the value of PeerHeader for the proxy: a protobuf Struct in base64, with
// the members that Istio's proxies read (istio/proxy, extensions/common/metadata_object).
func (i Identity) EncodePeer() string {
	w := i.Own()
	values := []string{w.App, w.Version, w.CanonicalService, w.CanonicalRevision}
	labels := make(map[string]*structpb.Value)
	for n, name := range peerLabels {
		if values[n] != "" {
			labels[name] = structpb.NewStringValue(values[n])
		}
	}
	fields := map[string]*structpb.Value{"LABELS": structpb.NewStructValue(&structpb.Struct{Fields: labels})}
	for name, value := range map[string]string{
		"NAME": i.Workload, "WORKLOAD_NAME": i.Workload, "NAMESPACE": i.Namespace, "CLUSTER_ID": i.Cluster, "MESH_ID": i.Mesh,
	} {
		if value != "" {
			fields[name] = structpb.NewStringValue(value)
		}
	}
	if i.Workload != "" && i.Namespace != "" {
		fields["OWNER"] = structpb.NewStringValue("kubernetes://apis/apps/v1/namespaces/" + i.Namespace + "/deployments/" + i.Workload)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&structpb.Struct{Fields: fields})
	if err != nil { // a name that is not UTF-8
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// DecodePeer reads the value of PeerHeader. What it says is the peer's word alone.
func DecodePeer(value string) (Workload, error) {
	if len(value) > MaxPeer {
		return Workload{}, fmt.Errorf("%s has %d bytes, more than %d", PeerHeader, len(value), MaxPeer)
	}
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return Workload{}, fmt.Errorf("%s: %w", PeerHeader, err)
	}
	var s structpb.Struct
	if err := proto.Unmarshal(b, &s); err != nil {
		return Workload{}, fmt.Errorf("%s: %w", PeerHeader, err)
	}
	labels := s.Fields["LABELS"].GetStructValue().GetFields()
	w := Workload{
		Name:              name(s.Fields["WORKLOAD_NAME"]),
		Namespace:         name(s.Fields["NAMESPACE"]),
		Cluster:           name(s.Fields["CLUSTER_ID"]),
		App:               name(labels["app"]),
		Version:           name(labels["version"]),
		CanonicalService:  name(labels["service.istio.io/canonical-name"]),
		CanonicalRevision: name(labels["service.istio.io/canonical-revision"]),
	}
	if w == (Workload{}) {
		return Workload{}, errors.New(PeerHeader + " names nothing")
	}
	return w, nil
}

// name returns a string that may be a label's value, empty where it is none.
func name(v *structpb.Value) string {
	s := v.GetStringValue()
	if len(s) > maxName {
		return ""
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return ""
		}
	}
	return s
}
