#!/usr/bin/env bash
# up.sh [api|node]: starts a cluster of what build.sh has built, in namespaces of its own.
#
#   api   etcd and kube-apiserver: 3 seconds
#   node  also a whole node with cluster DNS and the images of build.sh: 8 seconds (the default)
set -euo pipefail
. "$(dirname "$0")/env.sh"
tier=${1:-node}
began=$(date +%s%N)
say() { printf '  %5.1f s  %s\n' "$((($(date +%s%N) - began) / 1000000))e-3" "$*"; }

# await SECONDS COMMAND...: tries a command until it succeeds.
await() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] || { echo "not within the time given: $*; logs are in $Log" >&2; exit 1; }
		sleep .1
	done
}

# start NAME COMMAND...: runs a daemon inside, with its log.
start() {
	local name=$1
	shift
	inside "$@" </dev/null >"$Log/$name.log" 2>&1 &
}

# fill FILE: prints a file of node/ with its @Variables@.
fill() {
	local text name
	text=$(cat "$Source/node/$1")
	for name in PodRange ServiceOfDNS Run Pki; do text=${text//@$name@/${!name}}; done
	echo "$text"
}

# namespaces makes what stands for a machine: mount, network, process, host name and IPC
# namespaces. When their first process ends, the kernel ends everything in them.
namespaces() {
	local init=
	unshare --mount --net --pid --uts --ipc --fork --kill-child --mount-proc --propagation private "$Bin/pause" </dev/null >/dev/null 2>&1 &
	echo $! >"$Run/unshare.pid"
	for _ in $(seq 100); do
		init=$(pgrep -P "$(cat "$Run/unshare.pid")" || true)
		[ -n "$init" ] && [ "$(cat "/proc/$init/comm")" = pause ] && break
		sleep .05
	done
	echo "$init" >"$Run/init.pid"
	inside bash -euo pipefail <<-IN
		hostname node1
		ip link set lo up
		# ClusterIPs need a route; the other end of this one leads nowhere.
		ip link add node0 type veth peer name node0p
		ip addr add $NodeAddress/24 dev node0
		ip link set node0 up
		ip link set node0p up
		ip route add default dev node0
		echo 1 >/proc/sys/net/ipv4/ip_forward
		[ ! -e /proc/sys/net/bridge ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
		mount -t tmpfs -o mode=755 tmpfs /run
		mkdir -p /var/lib/kubelet /var/lib/containerd /etc/cni/net.d /run/netns /var/log/pods /var/log/containers
		mount --bind "$Run/containerd" /var/lib/containerd
		mount --bind "$Run/kubelet" /var/lib/kubelet
		mount --make-rshared /
		mount --bind "$Log/pods" /var/log/pods
		mount --bind "$Log/containers" /var/log/containers
		mount --bind "$Run/cni" /etc/cni/net.d
	IN
}

api() {
	local etcd=http://127.0.0.1:2379 peer=http://127.0.0.1:2380
	start etcd etcd --name=test --data-dir="$Run/etcd" --unsafe-no-fsync --log-level=warn \
		--listen-client-urls=$etcd --advertise-client-urls=$etcd \
		--listen-peer-urls=$peer --initial-advertise-peer-urls=$peer --initial-cluster=test=$peer
	start kube-apiserver kube-apiserver --etcd-servers=$etcd --bind-address=0.0.0.0 --secure-port=6443 --advertise-address=$NodeAddress \
		--tls-cert-file="$Pki/api.crt" --tls-private-key-file="$Pki/api.key" --client-ca-file="$Pki/ca.crt" \
		--token-auth-file="$Pki/tokens.csv" --authorization-mode=Node,RBAC \
		--service-account-key-file="$Pki/sa.pub" --service-account-signing-key-file="$Pki/sa.key" --service-account-issuer=https://kubernetes.default.svc \
		--service-cluster-ip-range=$ServiceRange --allow-privileged=true --kubelet-preferred-address-types=InternalIP \
		--enable-priority-and-fairness=false --profiling=false
	await 60 inside kubectl get --raw /readyz
}

controllers() {
	start kube-controller-manager kube-controller-manager --kubeconfig="$KUBECONFIG" --leader-elect=false --root-ca-file="$Pki/ca.crt" \
		--service-account-private-key-file="$Pki/sa.key" --cluster-signing-cert-file="$Pki/ca.crt" --cluster-signing-key-file="$Pki/ca.key" --bind-address=127.0.0.1
	start kube-scheduler kube-scheduler --kubeconfig="$KUBECONFIG" --leader-elect=false --bind-address=127.0.0.1
}

containers() {
	local image
	fill bridge.conflist >"$Run/cni/10-bridge.conflist"
	start containerd containerd -c "$Source/node/containerd.toml"
	await 30 inside ctr -a /run/containerd/containerd.sock version
	for image in "$Images"/*.tar; do
		inside ctr -n k8s.io images import "$image" >/dev/null
	done
}

kubelet() {
	echo "nameserver 127.0.0.1" >"$Run/resolv.conf"
	fill kubelet.yaml >"$Run/kubelet.yaml"
	fill kube-proxy.yaml >"$Run/kube-proxy.yaml"
	start kubelet kubelet --config="$Run/kubelet.yaml" --kubeconfig="$KUBECONFIG" --hostname-override=node1 --node-ip=$NodeAddress --v=2
	start kube-proxy kube-proxy --config="$Run/kube-proxy.yaml" --hostname-override=node1
	await 60 inside kubectl get node node1
	inside kubectl wait --for=condition=Ready node/node1 --timeout=60s >/dev/null
}

dns() {
	inside kubectl apply -f "$Source/node/dns.yaml" >/dev/null
	inside kubectl -n kube-system rollout status deploy/coredns --timeout=60s >/dev/null
}

running && { echo "a cluster is up already; down.sh ends it" >&2; exit 1; }
rm -rf "$Run"
mkdir -p "$Run"/{etcd,containerd,kubelet,cni,log/pods,log/containers}
"$Source/pki.sh"
export KUBECONFIG=$Pki/admin.conf
namespaces
api
say "the API server is ready"
[ "$tier" = api ] && exit 0
controllers
containers
say "the images are loaded"
kubelet
say "the node is ready"
dns
await 30 inside kubectl -n default get serviceaccount default
say "names are resolved, and pods can be made"
