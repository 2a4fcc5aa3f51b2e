#!/usr/bin/env bash
# Starts the example server and uses it as people do: aws s3 mb, cp, ls, rm with
# default settings, and boto3's put, get and managed transfers, from an empty
# object to 1 GiB. What comes back must be byte-equal.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
	rm -rf "$work"
}
trap finish EXIT

go build -o "$work/server" ./examples/server
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
export SHERD_ROOT_USER=conformance SHERD_ROOT_PASSWORD=conformance-secret
"$work/server" -address "127.0.0.1:$port" "$work/d{1...4}" >"$work/server.log" 2>&1 &
server=$!
export AWS_ACCESS_KEY_ID=$SHERD_ROOT_USER AWS_SECRET_ACCESS_KEY=$SHERD_ROOT_PASSWORD
export AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
export endpoint=http://127.0.0.1:$port
for _ in $(seq 100); do
	curl -fs "$endpoint/health/ready" >/dev/null && break
	sleep 0.1
done
s3() { aws --endpoint-url "$endpoint" s3 "$@" --only-show-errors; }

aws --endpoint-url "$endpoint" s3 mb s3://clients >/dev/null
mib=$((1024 * 1024))
for size in 0 1 1000 $((8 * mib - 1)) $((8 * mib)) $((8 * mib + 1)) $((100 * mib)) $((1024 * mib)); do
	head -c "$size" /dev/urandom >"$work/up"
	s3 cp "$work/up" "s3://clients/dir/$size"
	s3 cp "s3://clients/dir/$size" "$work/down"
	cmp "$work/up" "$work/down"
	echo "aws s3 cp: $size bytes, equal"
done
[ "$(aws --endpoint-url "$endpoint" s3 ls s3://clients/dir/ | wc -l)" = 8 ]
for size in 0 1; do s3 rm "s3://clients/dir/$size"; done
[ "$(aws --endpoint-url "$endpoint" s3 ls s3://clients/dir/ | wc -l)" = 6 ]
s3 rm --recursive s3://clients/
[ -z "$(aws --endpoint-url "$endpoint" s3 ls s3://clients/)" ]
echo "aws s3 ls and rm: as expected"
python3 .ci/clients/transfers.py "$work"
