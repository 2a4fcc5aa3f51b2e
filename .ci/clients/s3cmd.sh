#!/usr/bin/env bash
# s3cmd with default settings: mb, put, get, ls, du, info, cp, mv, sync, signurl,
# settagging, setpolicy, setcors, setlifecycle, del, rb. What comes back must be
# byte-equal.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
present s3cmd
s3cmd --version
start_server
cat >"$work/s3cfg" <<END
[default]
access_key = $AWS_ACCESS_KEY_ID
secret_key = $AWS_SECRET_ACCESS_KEY
host_base = ${endpoint#http://}
host_bucket = ${endpoint#http://}
use_https = False
END
cmd() { s3cmd --config "$work/s3cfg" --no-progress "$@"; }

put_and_get() {
	random "$1" "$work/up"
	cmd put "$work/up" "s3://cmd/dir/$1"
	cmd get --force "s3://cmd/dir/$1" "$work/down"
	cmp "$work/up" "$work/down"
}

listed() {
	cmd ls | grep 's3://cmd$'
	cmd ls s3://cmd/ | grep 'DIR.*s3://cmd/dir/$'
	[ "$(cmd ls --recursive s3://cmd/ | wc -l)" = "$(sizes "$max" | wc -l)" ]
	cmd du s3://cmd/dir/
	cmd la
}

information() {
	cmd info s3://cmd
	cmd info s3://cmd/dir/1000 | grep 'File size: *1000'
}

moved() {
	local size
	for size in 1000 $((20 * mib)); do
		random "$size" "$work/up"
		cmd put --add-header x-amz-meta-colour:blue "$work/up" "s3://cmd/move/ä b+c"
		cmd cp "s3://cmd/move/ä b+c" s3://cmd/move/b
		cmd mv s3://cmd/move/b s3://cmd/move/c
		cmd get --force s3://cmd/move/c "$work/down"
		cmp "$work/up" "$work/down"
		cmd info s3://cmd/move/c | grep 'x-amz-meta-colour: *blue'
		[ -z "$(cmd ls s3://cmd/move/b)" ]
		cmd modify --add-header x-amz-meta-colour:red s3://cmd/move/c
		cmd info s3://cmd/move/c | grep 'x-amz-meta-colour: *red'
	done
}

synced() {
	tree "$work/tree" 200
	cmd sync "$work/tree/" s3://cmd/sync/
	mkdir -p "$work/back"
	cmd sync s3://cmd/sync/ "$work/back/"
	diff -r "$work/tree" "$work/back"
	random 90001 "$work/tree/dir02/new file"
	rm "$work/tree/dir03/$(ls "$work/tree/dir03" | sed -n 1p)"
	cmd sync --delete-removed "$work/tree/" s3://cmd/sync/
	cmd sync --delete-removed s3://cmd/sync/ "$work/back/"
	diff -r "$work/tree" "$work/back"
}

# The URL of signurl names the host of host_bucket, and is made with Version 2.
signed() {
	local url
	random 70000 "$work/up"
	cmd put "$work/up" s3://cmd/signed
	url=$(cmd signurl s3://cmd/signed +60)
	echo "$url"
	curl --silent --show-error --fail-with-body --output "$work/down" "$url" || { cat "$work/down"; return 1; }
	cmp "$work/up" "$work/down"
}

tagged() {
	cmd settagging s3://cmd/dir/1000 'colour=blue&size=small'
	cmd gettagging s3://cmd/dir/1000 | grep blue
	cmd deltagging s3://cmd/dir/1000
	cmd settagging s3://cmd 'colour=blue'
	cmd gettagging s3://cmd | grep blue
	cmd deltagging s3://cmd
}

removed() {
	cmd del s3://cmd/dir/0
	[ -z "$(cmd ls s3://cmd/dir/0)" ]
	cmd del --recursive --force s3://cmd/
	[ -z "$(cmd ls --recursive s3://cmd/)" ]
	cmd multipart s3://cmd
	cmd rb s3://cmd
}

acl() {
	cmd setacl --acl-private s3://cmd s3://cmd/dir/1000
	cmd setacl --acl-public s3://cmd/dir/1000
	cmd info s3://cmd/dir/1000 | grep 'ACL.*anon.*READ'
	cmd setacl --acl-private s3://cmd/dir/1000
}

policy() {
	cmd setpolicy "$work/policy.json" s3://cmd
	cmd info s3://cmd | grep 'Policy.*GetObject'
	cmd put "$work/policy.json" s3://cmd/public/policy
	curl --silent --show-error --fail-with-body "$endpoint/cmd/public/policy" | cmp - "$work/policy.json"
	cmd delpolicy s3://cmd
	fails curl --silent --fail "$endpoint/cmd/public/policy"
}

cors() {
	cmd setcors "$work/cors.xml" s3://cmd
	cmd info s3://cmd | grep 'CORS.*AllowedOrigin'
	cmd delcors s3://cmd
}

lifecycle() {
	cmd setlifecycle "$work/lifecycle.xml" s3://cmd
	cmd getlifecycle s3://cmd | grep old/
	cmd info s3://cmd | grep 'Expiration.*old/'
	cmd dellifecycle s3://cmd
}

cat >"$work/lifecycle.xml" <<'END'
<LifecycleConfiguration><Rule><ID>old</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>
END
cat >"$work/policy.json" <<'END'
{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::cmd/public/*"}]}
END
cat >"$work/cors.xml" <<'END'
<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>
END

check mb cmd mb s3://cmd
for size in $(sizes "$max"); do check "put and get, $size bytes, byte-equal" put_and_get "$size"; done
check 'ls, du, la' listed
check info information
check 'cp, mv, modify' moved
check 'sync, 200 files' synced
check signurl signed
# Version 2.4 is the first that knows tags.
if cmd --help | grep settagging >/dev/null; then check 'settagging, gettagging, deltagging' tagged; fi
check 'setacl' acl
check 'setpolicy, delpolicy' policy
check 'setcors, delcors' cors
check 'setlifecycle, getlifecycle, dellifecycle' lifecycle
check 'del --recursive, multipart, rb' removed
