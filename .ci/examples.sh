#!/usr/bin/env bash
# Builds and runs every example as a person would: the embedding program, and
# the server through its first start, a refused second one, an orderly end and a
# restart that still has the data. Prints how long the server took to answer.
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

go build -o "$work/bin/" ./examples/embed ./examples/server

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

# --- server
drives="$work/data/d{1...4}"
keys="$work/data/credentials.json"
body="$work/body"

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

status() { curl --silent --output "$body" --write-out '%{http_code}' "$@"; }

# The keys reach curl by its configuration on standard input: a command line can
# be read by everybody.
signed() {
	printf 'user = "%s:%s"\n' "$(field access_key)" "$(field secret_key)" |
		status --config - --aws-sigv4 aws:amz:us-east-1:s3 --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@"
}
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

start second -must-exist
! grep -qF "$(field secret_key)" "$work/second.log" "$work/second.err.log" || fail "the secret was printed again"
for object in large small; do
	[ "$(signed "$url/box/$object")" = 200 ] || fail "get $object: $(head -c 500 "$body")"
	cmp "$work/$object" "$body" || fail "$object came back changed"
done
stop

if "$work/bin/server" -address 127.0.0.1:0 "d{1..4}" >"$work/usage.log" 2>&1; then fail "a bad pattern was accepted"; fi
grep -q "no range" "$work/usage.log" || fail "a bad pattern is not explained"
echo "examples: the data is there after a restart; all examples are right"
