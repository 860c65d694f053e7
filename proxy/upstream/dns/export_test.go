package dns

import "time"

// AwaitSecond has answers with IPv4 addresses wait that long for the IPv6 ones.
func (r *Resolver) AwaitSecond(d time.Duration) { r.second = d }
