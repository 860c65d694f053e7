package telemetry

import "github.com/sluicegate/sluice/telemetry/identity"

// Identity is who a proxy speaks for.
type Identity = identity.Identity
