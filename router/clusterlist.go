package router

import "slices"

// clusterList are the IDs of the clusters that a virtual host names, each once. Those that name
// the same in the same order mostly share one. It never changes.
type clusterList struct{ ids []int32 }

// clusterLists are those of one Build, by the bytes of their IDs.
type clusterLists struct {
	known map[string]*clusterList
	key   []byte
}

// one returns the list that stands for all that equal one.
func (l *clusterLists) one(ids []int32) *clusterList {
	l.key = l.key[:0]
	for _, id := range ids {
		l.key = append(l.key, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	list := l.known[string(l.key)]
	if list == nil {
		if l.known == nil {
			l.known = map[string]*clusterList{}
		}
		list = &clusterList{ids: slices.Clip(slices.Clone(ids))}
		l.known[string(l.key)] = list
	}
	return list
}
