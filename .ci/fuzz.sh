#!/usr/bin/env bash
# Runs every Fuzz target of the tree for FUZZTIME (a duration, or 100x for a
# number of executions) each, and fails at the end if one failed. An input that
# fails is left under the package's testdata/fuzz: commit it with the fix.
# FUZZPACKAGES limits it to those packages of the root module. What each target had so far is
# added up in .ci/fuzz.ledger: seconds, executions, and the day of the last run.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

time=${FUZZTIME:-30s}
ledger=.ci/fuzz.ledger
output=$(mktemp)
trap 'rm -f "$output"' EXIT

fuzz() {
	local status=0
	go -C "$1" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 20x "$3" 2>&1 | tee "$output" || status=$?
	note "$3" "$2"
	return "$status"
}

# note adds the run whose output is kept to the ledger.
note() {
	local seconds executions
	seconds=$(sed -n 's/^fuzz: elapsed: \([0-9hms]*\), execs: [0-9]*.*/\1/p' "$output" | tail -n 1 | sed 's/h/ * 3600 + /; s/m/ * 60 + /; s/s//; s/+ *$//')
	executions=$(sed -n 's/^fuzz: elapsed: [0-9hms]*, execs: \([0-9]*\).*/\1/p' "$output" | tail -n 1)
	[ -n "$executions" ] || return 0
	touch "$ledger"
	awk -v OFS='\t' -v target="$1 $2" -v seconds="$((seconds))" -v executions="$executions" -v day="$(date -u +%F)" -F '\t' '
		$1 == target { $2 += seconds; $3 += executions; $4 = day; found = 1 }
		{ print }
		END { if (!found) print target, seconds, executions, day }' "$ledger" | LC_ALL=C sort -o "$ledger.new"
	mv "$ledger.new" "$ledger"
}

ran=0
failed=()
for m in $(if [ -n "${FUZZPACKAGES:-}" ]; then echo .; else modules; fi); do
	pkgs=$(go -C "$m" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ${FUZZPACKAGES:-./...})
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
