#!/usr/bin/env bash
# restic with default settings: init, backup, a second one after changes, check of
# every byte, restore, forget and prune. What is restored must be equal.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
present restic
restic version
start_server
export RESTIC_REPOSITORY=s3:$endpoint/restic/repository RESTIC_PASSWORD=conformance RESTIC_CACHE_DIR=$work/restic

backed_up() {
	tree "$work/tree" 500
	random "$max" "$work/tree/large"
	(cd "$work" && restic backup tree)
}

changed() {
	random 90001 "$work/tree/dir02/new file"
	rm "$work/tree/dir03/$(ls "$work/tree/dir03" | sed -n 1p)"
	(cd "$work" && restic backup tree)
	[ "$(restic snapshots --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" = 2 ]
}

restored() {
	restic restore latest --target "$work/restored"
	diff -r "$work/tree" "$work/restored/tree"
}

check init restic init
check backup backed_up
check 'backup again' changed
check 'check --read-data' restic check --read-data
check restore restored
check 'forget --prune' restic forget --keep-last 1 --prune
check 'check after prune' restic check --read-data
