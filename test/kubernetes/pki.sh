#!/usr/bin/env bash
# pki.sh: makes the certificates, keys, token and kubeconfig of a cluster, once.
set -euo pipefail
. "$(dirname "$0")/env.sh"
mkdir -p "$Pki"
cd "$Pki"
[ -f admin.conf ] && exit 0

quietly() { "$@" 2>/dev/null; }
elliptic=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
names+=",IP:127.0.0.1,IP:$NodeAddress,IP:$ServiceOfAPI"

quietly openssl req -x509 "${elliptic[@]}" -days 3650 -subj "/CN=test authority" -keyout ca.key -out ca.crt
quietly openssl req "${elliptic[@]}" -subj /CN=kube-apiserver -keyout api.key -out api.csr
quietly openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out api.crt -extfile <(echo "subjectAltName=$names")
quietly openssl genrsa -out sa.key 2048
quietly openssl rsa -in sa.key -pubout -out sa.pub

umask 077
token=$(openssl rand -hex 16)
echo "$token,admin,admin,\"system:masters\"" >tokens.csv
cat >admin.conf <<CONF
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:6443", certificate-authority: $Pki/ca.crt}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
CONF
