#!/usr/bin/env bash
# rclone with default settings: sync and check of 1,000 files, large files, copy
# and move on the server, a link, old versions, purge. What comes back must be byte-equal.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
present rclone
rclone version | sed -n 1p
start_server
export RCLONE_CONFIG=$work/rclone.conf RCLONE_CACHE_DIR=$work/rclone
cat >"$RCLONE_CONFIG" <<END
[sherd]
type = s3
provider = Other
endpoint = $endpoint
access_key_id = $AWS_ACCESS_KEY_ID
secret_access_key = $AWS_SECRET_ACCESS_KEY
END

synced() {
	tree "$work/tree" 1000
	rclone sync "$work/tree" sherd:clone/tree
	rclone check "$work/tree" sherd:clone/tree
	rclone check --download "$work/tree" sherd:clone/tree
	[ "$(rclone lsf --recursive --files-only sherd:clone/tree | wc -l)" = 1000 ]
	rclone size sherd:clone/tree | grep 'Total objects: .*1000\|1k (1000)'
}

# One file changed, one removed, one new; a second sync moves only those.
again() {
	random 90001 "$work/tree/dir02/$(ls "$work/tree/dir02" | sed -n 1p)"
	rm "$work/tree/dir03/$(ls "$work/tree/dir03" | sed -n 1p)"
	random 5 "$work/tree/dir04/new"
	rclone sync "$work/tree" sherd:clone/tree --stats-one-line --stats-log-level NOTICE 2>&1 | tee "$work/stats"
	rclone check "$work/tree" sherd:clone/tree
	rclone sync sherd:clone/tree "$work/back"
	diff -r "$work/tree" "$work/back"
	[ -z "$(rclone sync --dry-run "$work/tree" sherd:clone/tree 2>&1 | grep 'Skipped')" ]
}

copied() {
	random "$1" "$work/up"
	rclone copyto "$work/up" "sherd:clone/large/$1"
	rclone copyto "sherd:clone/large/$1" "$work/down"
	cmp "$work/up" "$work/down"
	rclone cat "sherd:clone/large/$1" | cmp "$work/up"
}

# rclone copies above 5 GiB in parts only; this is CopyObject.
on_server() {
	rclone copyto sherd:clone/large/1000 "sherd:clone/moved/a ü+&"
	rclone moveto "sherd:clone/moved/a ü+&" sherd:clone/moved/b
	[ "$(rclone lsf sherd:clone/moved)" = b ]
	rclone cat sherd:clone/moved/b | cmp - <(rclone cat sherd:clone/large/1000)
	rclone touch --timestamp 2020-01-02T03:04:05 sherd:clone/moved/b
	rclone lsl sherd:clone/moved/b | grep '2020-01-02 03:04:05'
}

piped() {
	random $((9 * mib)) "$work/up"
	rclone rcat sherd:clone/piped <"$work/up"
	rclone cat sherd:clone/piped | cmp - "$work/up"
}

linked() {
	local url
	url=$(rclone link --expire 1m sherd:clone/large/1000)
	curl --silent --show-error --fail-with-body "$url" | cmp - <(rclone cat sherd:clone/large/1000)
}

# What the tree was is there while it changes, as every version and as of a time.
versioned() {
	local before i
	rclone mkdir sherd:clone-versions
	rclone backend versioning sherd:clone-versions Enabled
	for i in 1 2 3; do
		random "${i}000" "$work/version.$i"
		rclone copyto --ignore-times "$work/version.$i" sherd:clone-versions/a
		random 10 "$work/up"
		rclone copyto "$work/up" "sherd:clone-versions/b.$i"
		[ "$i" != 2 ] || { sleep 1.1; before=$(date --utc +%Y-%m-%dT%H:%M:%SZ); sleep 1.1; }
	done
	rclone deletefile sherd:clone-versions/b.1
	[ "$(rclone lsf sherd:clone-versions | wc -l)" = 3 ]
	[ "$(rclone lsf --s3-versions sherd:clone-versions | wc -l)" = 6 ]
	rclone lsf --s3-versions sherd:clone-versions | grep '^a-v20'
	[ "$(rclone lsf --s3-version-at "$before" sherd:clone-versions | tr '\n' ' ')" = 'a b.1 b.2 ' ]
	rclone cat --s3-version-at "$before" sherd:clone-versions/a | cmp - "$work/version.2"
	fails rclone copyto --s3-version-at "$before" "$work/up" sherd:clone-versions/c
	rclone backend cleanup-hidden sherd:clone-versions
	[ "$(rclone lsf --s3-versions sherd:clone-versions | wc -l)" = 3 ]
	rclone cat sherd:clone-versions/a | cmp - "$work/version.3"
	rclone purge sherd:clone-versions
}

removed() {
	rclone cleanup sherd:clone
	rclone purge sherd:clone
	fails rclone lsf sherd:clone
	[ -z "$(rclone lsd sherd:)" ]
}

check mkdir rclone mkdir sherd:clone
check 'sync and check, 1,000 files' synced
check 'sync again and back' again
for size in $(sizes "$max"); do check "copyto, $size bytes, byte-equal" copied "$size"; done
check 'copy, move and touch on the server' on_server
check 'rcat' piped
check link linked
check '--s3-versions, --s3-version-at, cleanup-hidden' versioned
check 'cleanup, purge' removed
