package main

import "github.com/sluicegate/sluice/router"

// destinationView is a share of the traffic: who gets it, and what is changed for it.
type destinationView struct {
	Cluster         string       `json:"cluster"`
	Weight          uint64       `json:"weight"`
	Share           string       `json:"share"`
	Missing         bool         `json:"missing,omitempty"`
	Resolution      string       `json:"resolution,omitempty"`
	Endpoints       []string     `json:"endpoints"`
	Authority       string       `json:"authority,omitempty"`
	RequestHeaders  []headerView `json:"requestHeaders,omitempty"`
	ResponseHeaders []headerView `json:"responseHeaders,omitempty"`
	// Policies are the cluster's.
	Policies []router.Policy `json:"policies,omitempty"`
	// Live is the state that a running proxy tells; nil where files were asked.
	Live *liveView `json:"live,omitempty"`

	// bytes: it gets those of a connection rather than requests.
	bytes bool
}

// headerView is one change to the headers.
type headerView struct {
	Change string `json:"change"`
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
}

// addDestinations adds what is known of destinations, and tells whether any exists.
func (e *explanation) addDestinations(table *router.Table, list []router.CompiledDestination, finish func(*destinationView, *router.CompiledDestination)) (found bool) {
	var total uint64
	for i := range list {
		total += uint64(list[i].Weight)
	}
	weights := map[string]uint64{}
	for i := range list {
		dest := &list[i]
		view := destinationView{
			Cluster: dest.Cluster.Name, Weight: uint64(dest.Weight), Share: router.Share(dest.Weight, total),
			Endpoints:       []string{},
			RequestHeaders:  headerViews(dest.RequestOps),
			ResponseHeaders: headerViews(dest.ResponseOps),
		}
		if len(list) == 1 {
			view.Weight, view.Share = max(view.Weight, 1), "100%"
		}
		finish(&view, dest)
		if cluster := table.Clusters()[dest.Cluster.ID]; cluster != nil {
			found = true
			view.Resolution = cluster.Resolution.String()
			view.Policies = cluster.Policies()
			if live, ok := e.upstreams[cluster.Name]; ok {
				view.Live = liveViewOf(&live)
			}
			for _, endpoint := range cluster.Endpoints {
				view.Endpoints = append(view.Endpoints, endpoint.Address)
			}
		} else {
			view.Missing = true
		}
		weights[view.Cluster] += view.Weight
		e.Destinations = append(e.Destinations, view)
	}
	if found {
		e.Clusters = weights
	}
	return found
}

func headerViews(ops []router.HeaderOp) []headerView {
	names := map[router.HeaderOpKind]string{router.RemoveHeader: "remove", router.SetHeader: "set", router.AddHeader: "add"}
	var views []headerView
	for _, op := range ops {
		v := headerView{Change: names[op.Kind], Name: op.Name}
		if op.Kind != router.RemoveHeader {
			v.Value = op.Value.String()
		}
		views = append(views, v)
	}
	return views
}
