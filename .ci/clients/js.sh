#!/usr/bin/env bash
# @aws-sdk/client-s3 and lib-storage with their defaults, over HTTP and HTTPS.
# What is checked is in js/checks.mjs; versions are pinned in js/package-lock.json,
# and installed into a folder that is gone at the end.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
present node
present npm

cp -r "$clients/js" "$work/js"
(cd "$work/js" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error)

run() { (cd "$work/js" && node checks.mjs "$work" "$2") || failures+=("over $1"); }

start_server
run http $((max / mib))
stop_server
start_server tls
NODE_EXTRA_CA_CERTS=$work/cert.pem run https 20
