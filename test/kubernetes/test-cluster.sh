#!/usr/bin/env bash
# test-cluster.sh [FLAGS OF GO TEST]: a node, the images of this checkout, and the tests of
# cluster/ inside: test-cluster.sh -test.run Bookinfo. KEEP=1 leaves the node up at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"

echo "== building"
lacks=0
"$here/build.sh" node || lacks=$?
if [ $lacks -eq $Lacking ]; then
	echo "SKIP  the tests on a Kubernetes node: see above"
	exit 0
fi
[ $lacks -eq 0 ] || exit $lacks
export GOFLAGS='-buildvcs=false -trimpath' CGO_ENABLED=0
(cd "$here/../.." && go build -o "$Bin/sluice" ./cmd/sluice)
(cd "$here/../../deploy/image" && go run . -root ../.. -o "$Images" -platforms "$(go env GOARCH)" -version 0.1.0 -only sluice-gateway,sluice-sidecar,bookinfo)
(cd "$here" && go test -c -o "$Bin/cluster.test" ./cluster)

echo "== the node"
"$here/down.sh"
[ -n "${KEEP:-}" ] || trap '"$here/down.sh"' EXIT
"$here/up.sh" node

echo "== the tests"
cd "$here/../.."
"$here/kx" env SLUICE_TEST_CLUSTER=1 "$Bin/cluster.test" -test.v -test.timeout 10m "$@"
echo "ok    test/kubernetes/cluster"
