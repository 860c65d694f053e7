// Package peer holds the gateway beside nginx: the same routing, rewriting and forwarding
// headers, the same load, in the same run. It runs the real binaries, so it wants nginx,
// wrk and strace (test/install-tools.sh installs them); without them its tests are
// skipped, but fail where CI=true.
//
// It fails on a lost request or a system call too many, never on a time: ratios are
// printed, since machines are noisy.
package peer
