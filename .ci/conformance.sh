#!/usr/bin/env bash
# Runs the checks with real S3 clients, one script after the other: each of
# .ci/clients/*.sh starts its own server and cleans up after itself.
set -euo pipefail
cd "$(dirname "$0")/.."

ran=0
failed=()
for script in .ci/clients/*.sh; do
	[ -e "$script" ] || continue
	echo "== $script"
	ran=$((ran + 1))
	bash "$script" || failed+=("$script")
done
if [ "$ran" = 0 ]; then
	echo "conformance: .ci/clients holds no script yet, so nothing was checked"
	exit 0
fi
echo "conformance: $ran scripts, ${#failed[@]} failed"
for f in ${failed[@]+"${failed[@]}"}; do echo "  failed: $f"; done
[ "${#failed[@]}" = 0 ]
