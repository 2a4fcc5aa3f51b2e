#!/usr/bin/env bash
# Runs every Fuzz target of the tree for FUZZTIME (a duration, or 100x for a
# number of executions) each, and fails at the end if one failed. An input that
# fails is left under the package's testdata/fuzz: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

time=${FUZZTIME:-30s}
ran=0
failed=()
for m in $(modules); do
	pkgs=$(go -C "$m" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
	for pkg in $pkgs; do
		if ! names=$(go -C "$m" test -list '^Fuzz' "$pkg"); then
			echo "$names"
			failed+=("$pkg (its tests do not build)")
			continue
		fi
		for name in $(grep '^Fuzz' <<<"$names" || true); do
			echo "== $pkg $name ($time)"
			ran=$((ran + 1))
			go -C "$m" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$pkg" || failed+=("$pkg $name")
		done
	done
done
echo "fuzz: $ran targets, ${#failed[@]} failed"
for f in ${failed[@]+"${failed[@]}"}; do echo "  failed: $f"; done
[ "${#failed[@]}" = 0 ]
