// Package kube finds configuration in a Kubernetes cluster: it lists and watches objects at
// the API server and hands them on as [config.Delta]s, as discovery/file does with folders.
//
// It owns which kinds of objects are watched, what of them is kept, when a change is
// handed on, and what stays in force while the API server is away. It must not know what
// objects mean: a front end says, by Options.Wants, which objects it needs beyond those
// that everybody has (Secrets, each by its name, and the Pods of a namespace in whole).
//
// # What is watched
//
// The kinds of networking.istio.io, and Telemetry, in the newest version that the API server has of each;
// Ingress and IngressClass; Service and EndpointSlice; Secrets, only those wanted, each by a
// watch of its own, that needs no right to list. Pods are watched in the gateway's own namespace,
// and in those where they are wanted; where only their labels are, only their metadata is
// asked for. Namespaces are watched where Options.Selector chooses among them. Of Nodes, the
// labels that say where they are: of this proxy's own, and of all where they are wanted. Of
// ConfigMaps, the one with the mesh's configuration.
//
// # What stays in force
//
//   - Nothing is handed on before every kind has been listed, or is known to be missing or
//     forbidden; then everything is, in one Delta.
//   - While the API server is away nothing changes. When it is back, what went in the
//     meantime goes, and what did not change keeps its pointer.
//   - A kind that is forbidden keeps the objects that it gave before, as does one whose list
//     cannot be read. A kind that is not installed has none. Both are asked for again every
//     few seconds.
//   - An API server that starts refuses everything for a moment, and a proxy before one may
//     have lost it: at the start, that a kind is forbidden is believed after 2 s, and that one is
//     missing of which objects are known, after 10 s.
//   - A start without an API server, or without rights, takes what it cannot read from the
//     snapshot, where there is one, and says how old it is. Kinds take its place one by one as they
//     are listed.
//
// # When a change is handed on
//
// A change to an EndpointSlice, at once; others after 5 ms in which nothing happened, and 25 ms
// at most. Between two Deltas passes at least the time that the last one took to be
// worked in, 50 ms at most, so that a cluster in turmoil costs half a processor and no more.
//
// # What is written
//
// A [StatusWriter] writes what came of objects into their status, and Events; what that is, it is
// told. Of all replicas one writes, the holder of a [Lease]. Without one nothing is written.
package kube
