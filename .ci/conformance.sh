#!/usr/bin/env bash
# Runs the checks with real S3 clients, one script after the other: each of
# .ci/clients/*.sh starts its own server and cleans up after itself. lib.sh is
# what they share, and says what the environment may set. Names given as
# arguments, such as rclone, choose among the scripts.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

if [ -z "${SHERD_CLIENT_SERVER:-}" ]; then
	programs=$(mktemp -d)
	trap 'rm -rf "$programs"' EXIT
	export SHERD_CLIENT_SERVER=$programs/server
	go build -o "$SHERD_CLIENT_SERVER" ./examples/server
fi

ran=0
failed=()
times=()
for script in .ci/clients/*.sh; do
	name=$(basename "$script" .sh)
	[ "$name" != lib ] || continue
	[ "$#" = 0 ] || [[ " $* " == *" $name "* ]] || continue
	echo "== $script"
	ran=$((ran + 1))
	begun=$SECONDS
	bash "$script" || failed+=("$script")
	times+=("$name $((SECONDS - begun)) s")
done
if [ "$ran" = 0 ]; then
	echo "conformance: nothing was checked"
	exit 1
fi
printf 'conformance: %s\n' "${times[@]}"
echo "conformance: $ran scripts, ${#failed[@]} failed, $SECONDS s"
for f in ${failed[@]+"${failed[@]}"}; do echo "  failed: $f"; done
[ "${#failed[@]}" = 0 ]
