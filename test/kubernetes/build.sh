#!/usr/bin/env bash
# build.sh [api|node]: builds what the tests run, into the user's cache. It is about six
# minutes of both of two cores at first, and seconds from then on: the rest is Go's cache.
#
#   api   etcd, kube-apiserver and kubectl, in one binary; it needs Go alone
#   node  also the packages of Debian and the images that a node needs (the default)
set -euo pipefail
. "$(dirname "$0")/env.sh"
tier=${1:-node}
export GOFLAGS=-buildvcs=false CGO_ENABLED=0
cd "$Source"
mkdir -p "$Bin" "$Images"

# progress TOTAL: turns the lines of go build -v into one that says how far it is.
progress() {
	local total=$1 compiled=0 fetched=0 shown=-100 every=15 end='\n' line
	[ -t 2 ] && every=1 end='\r'
	while IFS= read -r line; do
		case $line in
		"go: downloading "*) fetched=$((fetched + 1)) ;;
		*" "*) echo "$line" >&2 ;; # what is wrong
		*) compiled=$((compiled + 1)) ;;
		esac
		if [ $((SECONDS - shown)) -ge $every ]; then
			printf "  Kubernetes $Version: %4d of %d packages compiled, %d modules fetched, %d s$end" $compiled "$total" $fetched $SECONDS >&2
			shown=$SECONDS
		fi
	done
	[ $compiled -eq 0 ] || printf "  Kubernetes $Version: built in %d s; from now on it is cached%20s\n" $SECONDS "" >&2
}

# hyperkube builds the binary of all of Kubernetes.
hyperkube() {
	local total stamp
	stamp="-s -w -X k8s.io/component-base/version.gitVersion=$Version -X k8s.io/client-go/pkg/version.gitVersion=$Version"
	stamp+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$Version")"
	total=$(go list -deps ./cmd/hyperkube | wc -l)
	go build -v -trimpath -ldflags "$stamp" -o "$Bin/hyperkube" ./cmd/hyperkube 2> >(progress "$total")
	for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
		ln -sf hyperkube "$Bin/$name"
	done
}

# packages installs what a node takes from Debian.
packages() {
	local tool missing=()
	for tool in containerd runc nft:nftables conntrack iptables openssl curl ip:iproute2; do
		command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
	done
	[ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "  installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
		echo "a node needs packages that cannot be installed: ${missing[*]}" >&2
		exit $Lacking
	fi
}

# images packs the images that every cluster has.
images() {
	go build -trimpath -ldflags "-s -w" -o "$Bin/" ./cmd/coredns ./cmd/pause ./cmd/mkimg
	mkimg -o "$Images/pause.tar" -name k8s.local/pause:1 -entry /pause "$Bin/pause=/pause"
	mkimg -o "$Images/coredns.tar" -name k8s.local/coredns:1 -entry /coredns "$Bin/coredns=/coredns"
}

if [ "$tier" = api ]; then
	hyperkube
	exit 0
fi
need=$(lacking)
if [ -n "$need" ]; then
	echo "a node needs, and this machine lacks:" >&2
	sed 's/^/  /' <<<"$need" >&2
	exit $Lacking
fi
packages
hyperkube
images
