package proxy

import "time"

// epoch is when the process's monotonic clock began to count.
var epoch = time.Now()

// Now returns the monotonic clock in nanoseconds, from 1 up.
func Now() int64 { return int64(time.Since(epoch)) + 1 }

// Wall returns the wall clock time of a moment of Now.
func Wall(now int64) time.Time { return epoch.Add(time.Duration(now - 1)) }
