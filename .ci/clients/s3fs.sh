#!/usr/bin/env bash
# s3fs with default settings but for the path style that an address needs: files
# are written, read, renamed, changed in place and removed through a mount. Where
# FUSE does not work it says so and checks nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
present s3fs
s3fs --version | sed -n 1p
mount=$work/mount
mkdir "$mount"
driver=
undo() { unmount || true; }
if ! { : <>/dev/fuse; } 2>/dev/null || ! command -v fusermount >/dev/null; then
	echo "s3fs: not run: FUSE does not work here (no /dev/fuse that can be opened, or no fusermount)"
	exit 0
fi
start_server
(umask 077 && echo "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" >"$work/passwd")
curl --silent --show-error --fail-with-body -X PUT --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
	--aws-sigv4 aws:amz:us-east-1:s3 --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$endpoint/mounted"

# mounted: s3fs stays in the foreground, so that its end can be waited for.
mounted() {
	TMPDIR=$work s3fs mounted "$mount" -f -o "passwd_file=$work/passwd,url=$endpoint,use_path_request_style" >"$work/s3fs.log" 2>&1 &
	driver=$!
	for _ in $(seq 100); do
		! mountpoint -q "$mount" || return 0
		kill -0 "$driver" 2>/dev/null || break
		sleep 0.1
	done
	if grep -q 'fuse: \(device not found\|failed to open\|mount failed\)' "$work/s3fs.log"; then
		echo "s3fs: not run: FUSE does not work here: $(grep 'fuse:' "$work/s3fs.log")"
		exit 0
	fi
	echo "s3fs: FAILED: mount; what it said:"
	cat "$work/s3fs.log"
	failures+=(mount)
	exit 1
}

unmount() {
	[ -n "$driver" ] || return 0
	local ended=0
	! mountpoint -q "$mount" || fusermount -u "$mount" || fusermount -uz "$mount" || kill "$driver" || true
	wait "$driver" || ended=$?
	driver=
	return "$ended"
}

written() {
	random "$1" "$work/up"
	cp "$work/up" "$mount/file-$1"
	cmp "$work/up" "$mount/file-$1"
	[ "$(stat -c %s "$mount/file-$1")" = "$1" ]
}

# Through a new mount nothing comes from a cache of the old one.
reread() {
	local size
	for size in $(sizes "$max"); do
		[ "$(stat -c %s "$mount/file-$size")" = "$size" ]
	done
	cmp "$work/kept" "$mount/kept"
	[ "$(cat "$mount/dir/ä b")" = changed ]
}

named() {
	mkdir "$mount/dir" "$mount/empty"
	echo one >"$mount/dir/a"
	mv "$mount/dir/a" "$mount/dir/ä b"
	[ "$(ls "$mount/dir")" = 'ä b' ]
	echo changed >"$mount/dir/ä b"
	chmod 640 "$mount/dir/ä b"
	[ "$(stat -c %a "$mount/dir/ä b")" = 640 ]
	rmdir "$mount/empty"
	[ ! -e "$mount/empty" ]
	mv "$mount/dir" "$mount/dir2"
	mv "$mount/dir2" "$mount/dir"
}

# A large file that is changed in place: s3fs copies the parts that stay.
changed() {
	random $((30 * mib)) "$work/kept"
	cp "$work/kept" "$mount/kept"
	echo changed | dd of="$mount/kept" bs=1 seek=$((15 * mib)) conv=notrunc status=none
	echo changed | dd of="$work/kept" bs=1 seek=$((15 * mib)) conv=notrunc status=none
	cmp "$work/kept" "$mount/kept"
	echo more >>"$mount/kept"
	echo more >>"$work/kept"
	cmp "$work/kept" "$mount/kept"
	mv "$mount/kept" "$mount/kept2"
	mv "$mount/kept2" "$mount/kept"
}

removed() {
	rm -r "$mount"/*
	[ -z "$(ls -A "$mount")" ]
}

mounted
for size in $(sizes "$max"); do check "write and read, $size bytes, byte-equal" written "$size"; done
check 'mkdir, mv, chmod, rmdir' named
check 'change in place, append, mv, 30 MiB' changed
unmount || failures+=('unmount')
mounted
check 'read through a new mount' reread
check 'rm -r' removed
unmount || failures+=('unmount')
