#!/usr/bin/env bash
# The MinIO client with default settings: mb, cp, put, get, cat, pipe, mv, mirror,
# diff, find, du, versions and undo, tags, object lock, anonymous access, lifecycle
# rules, encryption, shared links, CORS, rb. What comes back must be byte-equal.
#
# It is built from the module at the version below, and only run: it is under the
# AGPL, and nothing here links it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=v0.0.0-20250313080218-cf909e1063a9
GOFLAGS='' GOWORK=off GOBIN=$work CGO_ENABLED=0 go install "github.com/minio/mc@$version" 2>"$work/build.log" ||
	{ cat "$work/build.log"; exit 1; }
echo "mc $version"
start_server
export MC_CONFIG_DIR=$work/mc-config MC_HOST_sherd=http://$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY@${endpoint#http://}
mc() { timeout 300 "$work/mc" --no-color --quiet "$@"; }

# said <pattern> <command…>: the command succeeds and what it prints has the pattern.
said() {
	local pattern=$1 text
	shift
	text=$(mc "$@" 2>&1) || { echo "mc $*: $text"; return 1; }
	echo "mc $*: $text"
	grep -q -e "$pattern" <<<"$text"
}

there_and_back() {
	random "$1" "$work/up"
	mc cp "$work/up" "sherd/client/dir/$1"
	mc cp "sherd/client/dir/$1" "$work/down"
	cmp "$work/up" "$work/down"
	mc cat "sherd/client/dir/$1" | cmp - "$work/up"
	mc put "$work/up" "sherd/client/put/$1"
	mc get "sherd/client/put/$1" "$work/down"
	cmp "$work/up" "$work/down"
}

summed() {
	local algorithm size
	for algorithm in CRC32 CRC32C SHA1 SHA256 CRC64NVME MD5; do
		for size in 1000 $((40 * mib)); do
			random "$size" "$work/up"
			mc cp --checksum "$algorithm" "$work/up" sherd/client/sum
			[ "$algorithm" = MD5 ] || said "Checksum *: $algorithm:" stat sherd/client/sum
			mc put --checksum "$algorithm" "$work/up" sherd/client/sum
			mc cat sherd/client/sum | cmp - "$work/up"
		done
	done
}

piped() {
	local size
	for size in 0 3 $((20 * mib)); do
		random "$size" "$work/up"
		mc pipe sherd/client/piped <"$work/up"
		mc cat sherd/client/piped | cmp - "$work/up"
	done
}

listed() {
	local want
	want=$(sizes "$max" | wc -l)
	said 'client/' ls sherd
	said 'dir/$' ls sherd/client
	[ "$(mc ls --recursive sherd/client/dir | wc -l)" = "$want" ]
	[ "$(mc find sherd/client/dir --name '10*' | wc -l)" -ge 1 ]
	[ "$(mc find sherd/client/dir --larger 1MiB | wc -l)" = $((want - 3)) ]
	said "$want objects" du sherd/client/dir
	said '1000' tree --files sherd/client
	said 'Location: us-east-1' stat sherd/client
	said 'Size *: 1000 B' stat sherd/client/dir/1000
}

moved() {
	random 5000 "$work/up"
	mc cp --attr 'colour=blue' "$work/up" "sherd/client/move/a ü+&"
	mc cp "sherd/client/move/a ü+&" sherd/client/move/b
	mc mv sherd/client/move/b sherd/client/move/c
	said 'X-Amz-Meta-Colour: blue' stat sherd/client/move/c
	fails mc stat sherd/client/move/b
	mc cat sherd/client/move/c | cmp - "$work/up"
	mc head --lines 1 sherd/client/move/c
	mc cp --recursive sherd/client/move/ sherd/client/moved/
	[ "$(mc ls --recursive sherd/client/moved | wc -l)" = 2 ]
}

mirrored() {
	tree "$work/tree" 200
	mc mirror "$work/tree" sherd/client/mirror
	[ -z "$(mc diff "$work/tree" sherd/client/mirror)" ]
	mc mirror sherd/client/mirror "$work/back"
	diff -r "$work/tree" "$work/back"
	random 90001 "$work/tree/dir02/new file"
	rm "$work/tree/dir03/$(ls "$work/tree/dir03" | sed -n 1p)"
	[ "$(mc diff "$work/tree" sherd/client/mirror | wc -l)" = 2 ]
	mc mirror --remove --overwrite "$work/tree" sherd/client/mirror
	mc mirror --remove --overwrite sherd/client/mirror "$work/back"
	diff -r "$work/tree" "$work/back"
}

versions() {
	mc mb sherd/client-versions
	mc version enable sherd/client-versions
	said 'is enabled' version info sherd/client-versions
	for body in one two three; do
		echo "$body" | mc pipe sherd/client-versions/a
	done
	mc rm sherd/client-versions/a
	fails mc cat sherd/client-versions/a
	[ "$(mc ls --versions sherd/client-versions | wc -l)" = 4 ]
	said '3 versions' du --versions sherd/client-versions
	mc undo --force sherd/client-versions/a
	[ "$(mc cat sherd/client-versions/a)" = three ]
	mc undo --force --last 2 sherd/client-versions/a
	[ "$(mc cat sherd/client-versions/a)" = one ]
	mc version suspend sherd/client-versions
	said 'is suspended' version info sherd/client-versions
	echo null | mc pipe sherd/client-versions/a
	[ "$(mc ls --versions sherd/client-versions | wc -l)" = 2 ]
	mc rm --versions --force sherd/client-versions/a
	[ -z "$(mc ls --versions sherd/client-versions)" ]
	mc rb sherd/client-versions
}

tagged() {
	local what
	for what in sherd/client sherd/client/dir/1000; do
		mc tag set "$what" 'colour=blue&size=a b'
		said 'colour *: blue' tag list "$what"
		mc tag remove "$what"
		fails said 'colour *: blue' tag list "$what"
	done
}

locked() {
	local id
	mc mb --with-lock sherd/client-lock
	said 'is enabled' version info sherd/client-lock
	mc retention set --default GOVERNANCE 1d sherd/client-lock
	said 'GOVERNANCE.*1DAYS' retention info --default sherd/client-lock
	mc cp "$work/up" sherd/client-lock/a
	said 'Mode *: GOVERNANCE' retention info sherd/client-lock/a
	id=$(mc --json stat sherd/client-lock/a | sed -n 's/.*"versionID":"\([^"]*\)".*/\1/p')
	fails mc rm --version-id "$id" sherd/client-lock/a
	fails mc retention set COMPLIANCE 10d sherd/client-lock/a
	mc retention set GOVERNANCE 10d sherd/client-lock/a
	mc retention clear sherd/client-lock/a
	mc retention clear --default sherd/client-lock
	mc legalhold set sherd/client-lock/a
	said 'ON' legalhold info sherd/client-lock/a
	fails mc rm --version-id "$id" sherd/client-lock/a
	mc legalhold clear sherd/client-lock/a
	mc retention set GOVERNANCE 10d sherd/client-lock/a
	mc rm --version-id "$id" --bypass sherd/client-lock/a
	[ -z "$(mc ls --versions sherd/client-lock)" ]
	mc rb sherd/client-lock
}

public() { curl --silent --show-error --fail "$endpoint/client/$1" | cmp - "$work/public"; }

anonymous() {
	random 5000 "$work/public"
	mc cp "$work/public" sherd/client/public/a
	fails public public/a
	mc anonymous set download sherd/client/public
	said 'client/public\* => readonly' anonymous list sherd/client
	public public/a
	fails public dir/1000
	said "$endpoint/client/public/a" anonymous links --recursive sherd/client/public
	mc anonymous set upload sherd/client/public
	fails public public/a
	curl --silent --show-error --fail --upload-file "$work/public" "$endpoint/client/public/b"
	mc cat sherd/client/public/b | cmp - "$work/public"
	mc anonymous set public sherd/client/public
	public public/b
	mc anonymous get-json sherd/client >"$work/policy.json"
	mc anonymous set none sherd/client/public
	fails public public/b
	mc anonymous set-json "$work/policy.json" sherd/client
	public public/b
	mc anonymous set private sherd/client/public
	fails public public/b
}

lifecycle() {
	mc ilm rule add --expire-days 30 --prefix old/ sherd/client
	mc ilm rule add --noncurrent-expire-days 3 --noncurrent-expire-newer 2 sherd/client
	mc ilm rule add --expire-delete-marker sherd/client
	said 'old/' ilm rule ls sherd/client
	mc ilm rule export sherd/client >"$work/ilm.json"
	mc ilm rule rm --all --force sherd/client
	fails mc ilm rule ls sherd/client
	mc ilm rule import sherd/client <"$work/ilm.json"
	mc ilm rule export sherd/client | cmp - "$work/ilm.json"
	mc ilm rule rm --all --force sherd/client
}

encrypted() {
	local key=sherd/client/encrypted=MzJieXRlc2xvbmdzZWNyZXRrZXltdXN0cHJvdmlkZWQ size
	mc encrypt set sse-s3 sherd/client
	said "sse-s3' is enabled" encrypt info sherd/client
	mc cp "$work/up" sherd/client/encrypted/by-bucket
	said 'Encryption: SSE-S3' stat sherd/client/encrypted/by-bucket
	mc encrypt clear sherd/client
	fails mc encrypt info sherd/client
	mc cp --enc-s3 sherd/client/encrypted "$work/up" sherd/client/encrypted/service
	said 'Encryption: SSE-S3' stat sherd/client/encrypted/service
	mc cat sherd/client/encrypted/service | cmp - "$work/up"
	for size in 1000 $((40 * mib)); do # the client itself lets keys of its own pass by plain HTTP to this machine
		random "$size" "$work/up"
		mc cp --enc-c "$key" "$work/up" sherd/client/encrypted/customer
		fails mc cat sherd/client/encrypted/customer
		mc cat --enc-c "$key" sherd/client/encrypted/customer | cmp - "$work/up"
	done
}

# The commands that share upload prints are for a shell, with <FILE> for the file.
shared() {
	local url form
	random 70000 "$work/up"
	mc cp "$work/up" "sherd/client/shared/a b+c"
	url=$(mc --json share download --expire 1h "sherd/client/shared/a b+c" | python3 -c 'import json, sys; print(json.load(sys.stdin)["share"])')
	curl --silent --show-error --fail-with-body "$url" | cmp - "$work/up"
	said 'shared/a' share list download
	form=$(mc --json share upload --expire 1h sherd/client/shared/up | python3 -c 'import json, sys; print(json.load(sys.stdin)["share"])')
	echo "$form"
	eval "${form/<FILE>/$work\/up} --silent --show-error --fail-with-body"
	mc cat sherd/client/shared/up | cmp - "$work/up"
	form=$(mc --json share upload --recursive --expire 1h sherd/client/shared/below/ | python3 -c 'import json, sys; print(json.load(sys.stdin)["share"])')
	form=${form/<NAME>/name}
	eval "${form/<FILE>/$work\/up} --silent --show-error --fail-with-body"
	mc cat sherd/client/shared/below/name | cmp - "$work/up"
}

cors() {
	echo '<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example.org</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>' >"$work/cors.xml"
	mc cors set sherd/client "$work/cors.xml"
	said 'https://a.example.org' cors get sherd/client
	curl --silent --show-error --fail --request OPTIONS --header 'Origin: https://a.example.org' --header 'Access-Control-Request-Method: GET' "$endpoint/client/a"
	mc cors remove sherd/client
	said 'No bucket CORS' cors get sherd/client
}

others() {
	mc ping --count 1 sherd
	mc od if="$work/up" of=sherd/client/od size=5MiB
	mc event list sherd/client
	fails mc replicate ls sherd/client
}

removed() {
	mc rm sherd/client/dir/0
	fails mc stat sherd/client/dir/0
	mc rm --recursive --force sherd/client/dir/
	[ -z "$(mc ls --recursive sherd/client/dir/)" ]
	fails mc rb sherd/client
	mc rb --force sherd/client
	[ -z "$(mc ls sherd)" ]
}

check mb mc mb sherd/client
for size in $(sizes "$max"); do check "cp, cat, put and get, $size bytes, byte-equal" there_and_back "$size"; done
check 'ls, find, du, tree, stat' listed
check 'pipe' piped
check 'cp and put --checksum' summed
check 'cp, mv, head' moved
check 'mirror and diff, 200 files' mirrored
check 'version, undo, rm --versions' versions
check tag tagged
check 'retention, legalhold' locked
check anonymous anonymous
check 'ilm rule' lifecycle
check encrypt encrypted
check share shared
check cors cors
check 'ping, od, event, replicate' others
check 'rm, rb' removed
