#!/usr/bin/env bash
# down.sh [keep]: ends the cluster: the kernel kills all that is in the namespace of its
# first process. Then control groups and state go; keep leaves the state, with its logs.
. "$(dirname "$0")/env.sh"

running && kill -9 "$(cat "$Run/init.pid")"
for _ in $(seq 50); do
	kill -0 "$(cat "$Run/unshare.pid" 2>/dev/null)" 2>/dev/null || break
	sleep .1
done
for group in /sys/fs/cgroup /sys/fs/cgroup/*; do
	for name in kubepods k8s.io; do
		[ -d "$group/$name" ] && find "$group/$name" -depth -type d -exec rmdir {} + 2>/dev/null
	done
done
[ "${1:-}" = keep ] || rm -rf "$Run"
exit 0
