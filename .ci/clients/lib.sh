# What the scripts beside this file share: a server of their own on a free port
# with fresh drives, checks that are counted, and an end that leaves no process,
# mount or file behind. Sourced first, not run.
#
# The program is $SHERD_CLIENT_SERVER where that is set, and built here otherwise.
# SHERD_CLIENT_MAX_MIB says how large files get.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. .ci/lib.sh

clients=$PWD/.ci/clients
client=$(basename "$0" .sh)
mib=$((1024 * 1024))
max=$((${SHERD_CLIENT_MAX_MIB:-100} * mib))
work=$(mktemp -d)
server=
failures=()
server_flags=() # more of them for the server

# finish runs however the script ends. A script that must undo more than a
# server, such as a mount, defines undo.
finish() {
	local status=$?
	if declare -F undo >/dev/null; then undo || true; fi
	stop_server
	rm -rf "$work"
	if [ "${#failures[@]}" != 0 ]; then
		printf "$client: failed: %s\n" "${failures[@]}"
		status=1
	fi
	exit "$status"
}
trap finish EXIT

# start_server [tls]: sets endpoint and what clients find their keys in. With tls
# the certificate is in $work/cert.pem.
start_server() {
	local flags=("${server_flags[@]}") drives
	drives=$(mktemp -d "$work/drives.XXXX")
	if [ -z "${SHERD_CLIENT_SERVER:-}" ]; then
		SHERD_CLIENT_SERVER=$work/server
		go build -o "$SHERD_CLIENT_SERVER" ./examples/server
	fi
	if [ "${1:-}" = tls ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
			-addext subjectAltName=IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
		flags+=(-tls-cert "$work/cert.pem" -tls-key "$work/key.pem")
	fi
	unset "${!AWS_@}"
	export AWS_ACCESS_KEY_ID=conformance AWS_SECRET_ACCESS_KEY=conformance-secret
	export AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1
	export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
	: >"$work/server.out" # it is read before the server has opened it
	SHERD_ROOT_USER=$AWS_ACCESS_KEY_ID SHERD_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY \
		"$SHERD_CLIENT_SERVER" -address 127.0.0.1:0 ${flags[@]+"${flags[@]}"} "$drives/d{1...4}" \
		>"$work/server.out" 2>"$work/server.err" &
	server=$!
	endpoint=
	for _ in $(seq 300); do
		endpoint=$(sed -n 's/^serving S3 at \([^ ]*\) .*/\1/p' "$work/server.out")
		[ -z "$endpoint" ] || break
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	if [ -z "$endpoint" ]; then
		echo "$client: the server did not start:"
		cat "$work/server.err"
		return 1
	fi
	export endpoint
}

stop_server() {
	[ -n "$server" ] || return 0
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server=
	rm -rf "$work"/drives.*
}

# check <what> <command…> runs a command, or a function, in a shell of its own
# that stops at the first error. The script goes on, and fails at its end.
check() {
	local what=$1 begun=$SECONDS status=0
	shift
	set +e
	(
		trap - EXIT
		set -euo pipefail
		"$@"
	) </dev/null >"$work/check.log" 2>&1
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		echo "$client: ok: $what ($((SECONDS - begun)) s)"
		return
	fi
	failures+=("$what")
	echo "$client: FAILED: $what (status $status); the last lines:"
	tail -n 30 "$work/check.log" | cut -c 1-600 | sed 's/^/    /'
}

# fails <command…>: the command must not succeed. set -e does not see what a mere
# ! says, except in the last line.
fails() {
	if "$@"; then
		echo "this was expected to fail: $*"
		return 1
	fi
}

# random <bytes> <file>
random() { head -c "$1" /dev/urandom >"$2"; }

# sizes prints the sizes to try, up to the argument: around the part size that
# clients have by default, and well beyond it.
sizes() {
	local size
	for size in 0 1 1000 $((8 * mib - 1)) $((8 * mib)) $((8 * mib + 1)) $((100 * mib)) $((1024 * mib)); do
		[ "$size" -gt "$1" ] || echo "$size"
	done
}

# tree <folder> <files> makes a folder of small files, two levels deep, with
# names that have to be escaped among them.
tree() {
	python3 - "$@" <<'END'
import os, random, sys
folder, files = sys.argv[1], int(sys.argv[2])
names = ["plain", "with space", "plus+and&amp", "hash#and?", "percent%20", "ümlaut-日本", "quote'\"", "tilde~(1)"]
for i in range(files):
    at = os.path.join(folder, "dir%02d" % (i % 20), "%s-%04d" % (names[i % len(names)], i))
    os.makedirs(os.path.dirname(at), exist_ok=True)
    with open(at, "wb") as f:
        f.write(os.urandom(random.choice([0, 1, 100, 5000, 70000])))
END
}

# present <program>: ends the script where the program is missing.
present() {
	command -v "$1" >/dev/null && return
	echo "$client: FAILED: $1 is not installed"
	exit 1
}
