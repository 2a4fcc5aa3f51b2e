#!/usr/bin/env bash
# Runs every Fuzz target of the tree for FUZZTIME (a duration, or 100x for a
# number of executions) each, and fails at the end if one failed. An input that
# fails is left under the package's testdata/fuzz: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

time=${FUZZTIME:-30s}

fuzz() { go -C "$1" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 20x "$3"; }

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
			fuzz "$m" "$name" "$pkg" && continue
			# On a busy machine the fuzzer ends its own workers and calls that a failure.
			# An input that really fails does so again.
			if go -C "$m" test -run "^$name\$" "$pkg" && fuzz "$m" "$name" "$pkg"; then
				echo "fuzz: $name ended by itself once, and not again"
			else
				failed+=("$pkg $name")
			fi
		done
	done
done
echo "fuzz: $ran targets, ${#failed[@]} failed"
for f in ${failed[@]+"${failed[@]}"}; do echo "  failed: $f"; done
[ "${#failed[@]}" = 0 ]
