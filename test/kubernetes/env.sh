# Sourced by the scripts beside it: where things lie, and the addresses of the cluster.

# Source is this folder; Home holds what is built, and the state of a cluster that runs.
Source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
Home=${SLUICE_KUBERNETES:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-kubernetes}
Bin=$Home/bin
Images=$Home/images
Run=$Home/run
Log=$Run/log
Pki=$Run/pki
export PATH=$Bin:$PATH

# The version of Kubernetes is that of go.mod.
Version=$(sed -n 's/^require k8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$Source/go.mod")

NodeAddress=10.250.0.1
PodRange=10.244.0.0/24
ServiceRange=10.96.0.0/16
ServiceOfAPI=10.96.0.1
ServiceOfDNS=10.96.0.10

# Lacking is the exit status of build.sh where the machine cannot run a node.
Lacking=3

# inside COMMAND...: runs a command in the cluster's namespaces, in this folder. (ip netns
# exec would not do: it mounts /sys anew, which hides the control groups.)
inside() { nsenter -t "$(cat "$Run/init.pid")" -m -n -p -u -i --wdns="$PWD" -- "$@"; }

# running: whether a cluster is up.
running() { [ -f "$Run/init.pid" ] && kill -0 "$(cat "$Run/init.pid")" 2>/dev/null; }

# lacking: prints what a node needs and this machine does not have, a line each.
lacking() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "root"
		return
	fi
	[ -e /etc/debian_version ] || command -v containerd >/dev/null || echo "Debian, or containerd and its friends installed by hand"
	modprobe -q overlay 2>/dev/null
	grep -qw overlay /proc/filesystems || echo "the file system overlayfs"
	writable_cgroups || echo "a writable hierarchy of control groups below /sys/fs/cgroup"
	if ! unshare --mount --net --pid --fork true 2>/dev/null; then
		echo "the right to make mount, network and process namespaces (CAP_SYS_ADMIN)"
	elif command -v nft >/dev/null && ! unshare --net nft add table ip sluice 2>/dev/null; then
		echo "nftables in the kernel"
	fi
}

writable_cgroups() {
	local group
	for group in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		if [ -d "$group" ] && mkdir "$group/sluice-$$" 2>/dev/null; then
			rmdir "$group/sluice-$$"
			return 0
		fi
	done
	return 1
}
