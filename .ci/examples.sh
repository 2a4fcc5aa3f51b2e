#!/usr/bin/env bash
# Builds and runs every example as a person would: the embedding program, S3
# mounted beside pages, the application's tests, and the server through its first
# start, a refused second one, an orderly end and a restart that still has the
# data. Prints how long the servers took to answer.
# Needs go and curl (7.86 or newer, for --aws-sigv4).
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null || true; fi
	rm -rf "$work"
}
trap finish EXIT

fail() {
	echo "examples: FAILED: $*" >&2
	for log in "$work"/*.log; do
		[ -f "$log" ] || continue
		echo "--- ${log##*/}" >&2
		sed 's/secret key: .*/secret key: …/' "$log" >&2
	done
	exit 1
}

milliseconds() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

go build -o "$work/bin/" ./examples/embed ./examples/mount ./examples/server

# --- embed: twice on one folder, the second time on a store that exists.
cat >"$work/want" <<'END'
put hello.txt, 36 bytes
got "a sherd is a piece of broken pottery"
lists hello.txt, 36 bytes
END
for run in first second; do
	"$work/bin/embed" "$work/embedded" >"$work/embed.log" 2>&1 || fail "embed, $run run"
	diff "$work/want" "$work/embed.log" || fail "embed says something else, $run run"
done
echo "examples: embed is right on a new and on an existing store"

# --- testing: the tests are the example.
go test -count=1 ./examples/testing >"$work/testing.log" 2>&1 || fail "the tests of examples/testing"
echo "examples: the tests of examples/testing pass: $(cut -f 3 "$work/testing.log")"

# --- mount: in memory, and on drives.
body="$work/body"
status() { curl --silent --path-as-is --output "$body" --write-out '%{http_code}' "$@"; }

# with ACCESS SECRET ARGUMENTS…: a signed request. The keys reach curl by its
# configuration on standard input: a command line can be read by everybody.
with() {
	local pair="$1:$2"
	shift 2
	printf 'user = "%s"\n' "$pair" |
		status --config - --aws-sigv4 aws:amz:us-east-1:s3 --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@"
}

for places in "" "$work/m1 $work/m2"; do
	begun=$(milliseconds) where=memory
	[ -z "$places" ] || where="two drives"
	# shellcheck disable=SC2086 # two drives, or none
	"$work/bin/mount" -address 127.0.0.1:0 $places >"$work/mount.log" 2>"$work/mount.err.log" &
	server=$!
	mounted=
	for _ in $(seq 1000); do
		read -r mounted access secret < <(sed -n 's/^S3 at \([^ ]*\), access key \(.*\), secret key \(.*\)$/\1 \2 \3/p' "$work/mount.log") && break
		kill -0 "$server" 2>/dev/null || fail "mount ended while starting"
		sleep 0.01
	done
	[ -n "$mounted" ] || fail "mount said no URL within 10 s"
	[ "$(status "${mounted%/s3}/")" = 200 ] && grep -q hello "$body" || fail "mount's own page"
	echo "examples: mount answered its first request after $(($(milliseconds) - begun)) ms (on $where)"
	[ "$(with "$access" "$secret" -X PUT "$mounted/box")" = 200 ] || fail "mount, create bucket: $(cat "$body")"
	[ "$(with "$access" "$secret" --upload-file "$work/want" "$mounted/box/a//b")" = 200 ] || fail "mount, put: $(cat "$body")"
	[ "$(with "$access" "$secret" "$mounted/box/a//b")" = 200 ] && cmp "$work/want" "$body" || fail "mount, get: $(cat "$body")"
	[ "$(status "$mounted/box/a//b")" = 403 ] || fail "mount answered a request without a signature with $(cat "$body")"
	[ "$(status "${mounted%/s3}/metrics")" = 200 ] || fail "mount's metrics"
	for line in 'operation="PutObject",status="200"} 1' 'operation="GetObject",status="403"} 1'; do
		grep -qF "s3_requests_total{$line" "$body" || fail "mount's metrics lack $line: $(cat "$body")"
	done
	kill -INT "$server"
	code=0
	wait "$server" || code=$?
	server=
	[ "$code" = 0 ] || fail "SIGINT ended mount with $code"
done
[ -f "$work/m2/format.json" ] || fail "mount made no drive"
echo "examples: mount serves S3 beside its own pages, and SIGINT ends it with 0"

# --- server
drives="$work/data/d{1...4}"
keys="$work/data/credentials.json"

# start NAME FLAGS…: waits until the server is ready, prints how long that took.
start() {
	local name=$1 begun=$(milliseconds)
	shift
	"$work/bin/server" -address 127.0.0.1:0 "$@" "$drives" >"$work/$name.log" 2>"$work/$name.err.log" &
	server=$!
	url=
	for _ in $(seq 1000); do
		url=$(sed -n 's/^serving S3 at \([^ ]*\) .*/\1/p' "$work/$name.log")
		[ -z "$url" ] || break
		kill -0 "$server" 2>/dev/null || fail "the server ended while starting ($name)"
		sleep 0.01
	done
	[ -n "$url" ] || fail "the server said no URL within 10 s ($name)"
	[ "$(status "$url/health/ready")" = 200 ] || fail "the server is not ready ($name)"
	echo "examples: server answered its first request after $(($(milliseconds) - begun)) ms ($name)"
}

# stop: an orderly end.
stop() {
	local code=0 begun=$(milliseconds)
	kill -TERM "$server"
	wait "$server" || code=$?
	server=
	[ "$code" = 0 ] || fail "SIGTERM ended the server with $code"
	echo "examples: SIGTERM ended it with 0 after $(($(milliseconds) - begun)) ms"
}

signed() { with "$(field access_key)" "$(field secret_key)" "$@"; }
field() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" "$keys"; }

start first
grep -q "created on 4 drives" "$work/first.log" || fail "the first start does not say that it created the store"
mode=$(stat -c %a "$keys" 2>/dev/null || stat -f %Lp "$keys")
[ "$mode" = 600 ] || fail "the credentials file has mode $mode"
grep -qF "$(field secret_key)" "$work/first.log" || fail "the new credentials were not printed"
! grep -qF "$(field secret_key)" "$work/first.err.log" || fail "the secret is in the log"
[ "$(status "$url/health/live")" = 200 ] || fail "not live"
[ "$(status "$url/")" = 403 ] || fail "a request without a signature was answered with $(cat "$body")"

head -c 3000000 /dev/urandom >"$work/large"
echo "small" >"$work/small"
[ "$(signed -X PUT "$url/box")" = 200 ] || fail "create bucket: $(cat "$body")"
for object in large small; do
	[ "$(signed --upload-file "$work/$object" "$url/box/$object")" = 200 ] || fail "put $object: $(head -c 500 "$body")"
done

if "$work/bin/server" -address 127.0.0.1:0 "$drives" >"$work/refused.log" 2>&1; then
	fail "a second server started on the same drives"
fi
grep -q "another server" "$work/refused.log" || fail "the second server does not say why it was refused"
if "$work/bin/server" -address "${url#http://}" "$work/other{1...4}" >"$work/busy.log" 2>&1; then
	fail "a second server started on the same port"
fi
grep -q "address" "$work/busy.log" || fail "the second server does not say that the port is busy"
[ ! -e "$work/other1" ] || fail "drives were made although the port was busy"
stop

start second -must-exist -domain s3.test -signature-v2=false -log-requests
! grep -qF "$(field secret_key)" "$work/second.log" "$work/second.err.log" || fail "the secret was printed again"
for object in large small; do
	[ "$(signed "$url/box/$object")" = 200 ] || fail "get $object: $(head -c 500 "$body")"
	cmp "$work/$object" "$body" || fail "$object came back changed"
done
port=${url##*:}
[ "$(signed --resolve "box.s3.test:$port:127.0.0.1" "http://box.s3.test:$port/small")" = 200 ] || fail "a host that names a bucket: $(cat "$body")"
cmp "$work/small" "$body" || fail "small came back changed, by its bucket's host"
[ "$(status --header 'Authorization: AWS nobody:AAAA' "$url/box/small")" = 400 ] || fail "Signature Version 2 was not refused: $(cat "$body")"
[ "$(signed -X PUT "$url/health")" = 200 ] || fail "a bucket called health: $(cat "$body")"
[ "$(signed --upload-file "$work/small" "$url/health/live")" = 200 ] || fail "its object live: $(cat "$body")"
[ "$(signed "$url/health/live")" = 200 ] && cmp "$work/small" "$body" || fail "the object live: $(cat "$body")"
[ "$(status "$url/health/live")" = 200 ] && grep -q '"ok"' "$body" || fail "not live, beside a bucket called health"
[ "$(grep -c '"msg":"request".*"key":"small"' "$work/second.err.log")" = 3 ] || fail "the log does not have each request"
! grep -qF "$(field secret_key)" "$work/second.err.log" || fail "the secret is in the log"
stop

cat >"$work/policy.json" <<'END'
{"identities": [{"name": "app", "access_key": "APPKEY", "secret_key": "a secret of its own", "access": "full", "policy": {}}]}
END
chmod 600 "$work/policy.json"
if "$work/bin/server" -address 127.0.0.1:0 -credentials "$work/policy.json" "$drives" >"$work/policy.log" 2>&1; then
	fail "an identity with an empty policy was taken"
fi
grep -q "malformed policy: Missing required field Statement" "$work/policy.log" || fail "why a policy is refused is not said"

if "$work/bin/server" -address 127.0.0.1:0 "d{1..4}" >"$work/usage.log" 2>&1; then fail "a bad pattern was accepted"; fi
grep -q "no range" "$work/usage.log" || fail "a bad pattern is not explained"
echo "examples: the data is there after a restart; all examples are right"
