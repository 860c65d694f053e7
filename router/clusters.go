package router

// ClusterRef names a cluster. ID is its index in [Table.Clusters], which is nil there
// while no such cluster exists; where the route names none at all, ID is -1. So a
// request finds no cluster, 503 with flag NC, where id < 0 || clusters[id] == nil.
//
// An ID is dense, and the same in every table for as long as a route or the Spec
// names the cluster. It may then come to mean another: look it up in the table that
// made the decision.
type ClusterRef struct {
	Name string
	ID   int
}

// clusterSet gives clusters their IDs.
type clusterSet struct {
	ids     map[string]int32
	defined []*Cluster
}

func (s *clusterSet) intern(name string) int32 {
	id, ok := s.ids[name]
	if !ok {
		id = int32(len(s.defined))
		s.ids[name] = id
		s.defined = append(s.defined, nil)
	}
	return id
}
