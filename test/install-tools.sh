#!/usr/bin/env bash
# Installs what some tests need from Debian: nginx and HAProxy, wrk and h2load (the
# benchmark's peers and its load), strace (system calls per request), curl and openssl
# (clients), sslscan (what TLS offers), Redis and MariaDB (servers behind TCP routes),
# Prometheus and promtool (which read the metrics), Chromium (which shows the dashboard).
# It does nothing where they are there already, and leaves systems alone that are not
# Debian or where it is not root: the tests then skip, but fail where CI=true.
set -euo pipefail

missing=()
for tool in nginx haproxy wrk h2load:nghttp2-client strace curl openssl sslscan redis-server:redis-server redis-cli:redis-tools mariadbd:mariadb-server prometheus promtool:prometheus chromium; do
	name=${tool%:*} package=${tool#*:}
	command -v "$name" >/dev/null || [ -x "/usr/sbin/$name" ] || missing+=("$package")
done
# The load test has nginx pass connections on as bytes too.
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || [ ! -r /etc/debian_version ]; then
	echo "not installed: ${missing[*]} (needs root on Debian); the tests that use them are skipped" >&2
	exit 0
fi

echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# A service that starts by itself would take its port.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
