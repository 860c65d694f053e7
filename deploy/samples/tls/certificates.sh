#!/bin/sh
# Makes throw-away certificates for the sample, and the Secrets that hold them, in a folder:
#
#     deploy/samples/tls/certificates.sh keys config
#
# keys/ca.crt is the authority to trust, keys/NAME.crt and .key are the certificates, and
# config/secret-NAME.yaml the Secrets. Existing keys of the authority are kept, so that
# calling it again with names renews only those:
#
#     deploy/samples/tls/certificates.sh keys config shop
set -eu

keys=${1:?a folder for keys} config=${2:?a folder for Secrets}
shift 2
mkdir -p "$keys" "$config"
[ $# -gt 0 ] || set -- shop admin raw client

if [ ! -e "$keys/ca.key" ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 365 -subj '/CN=Sluice sample CA' \
		-addext keyUsage=critical,keyCertSign,cRLSign -keyout "$keys/ca.key" -out "$keys/ca.crt" 2>/dev/null
fi

for name in "$@"; do
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$name.localhost" \
		-keyout "$keys/$name.key" -out "$keys/$name.csr" 2>/dev/null
	printf 'subjectAltName=DNS:%s.localhost\nextendedKeyUsage=serverAuth,clientAuth\n' "$name" >"$keys/$name.ext"
	openssl x509 -req -in "$keys/$name.csr" -CA "$keys/ca.crt" -CAkey "$keys/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
		-days 90 -extfile "$keys/$name.ext" -out "$keys/$name.crt" 2>/dev/null
	rm "$keys/$name.csr" "$keys/$name.ext"
	# Written beside and moved, so that the gateway never reads a half.
	cat >"$config/.secret-$name.yaml" <<-EOF
		apiVersion: v1
		kind: Secret
		metadata: {name: $name, namespace: istio-system}
		type: kubernetes.io/tls
		data:
		  tls.crt: $(base64 <"$keys/$name.crt" | tr -d '\n')
		  tls.key: $(base64 <"$keys/$name.key" | tr -d '\n')
		  ca.crt: $(base64 <"$keys/ca.crt" | tr -d '\n')
	EOF
	mv "$config/.secret-$name.yaml" "$config/secret-$name.yaml"
done
