package forward

import "github.com/sluicegate/sluice/router"

// setHash settles by what hash the balancer chooses.
func (d *delivery) setHash(p *router.HashPolicy) {}
