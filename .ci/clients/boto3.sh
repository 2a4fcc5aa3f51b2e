#!/usr/bin/env bash
# boto3 with its defaults, over HTTP with files to 1 GiB and over HTTPS, where it
# signs bodies in another way. What is checked is in boto3_checks.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run() {
	local status=0
	python3 "$clients/boto3_checks.py" "$work" "$2" || status=$?
	[ "$status" = 0 ] || failures+=("over $1")
}

start_server
run http 1024
stop_server
start_server tls
AWS_CA_BUNDLE=$work/cert.pem run https 20
