package kube

import "time"

// SetPatience says how long the first Delta waits for what it is wanted to have.
func (c *Cluster) SetPatience(d time.Duration) { c.patience = d }
