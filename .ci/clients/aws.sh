#!/usr/bin/env bash
# The AWS command line with default settings, as people use it: mb, cp, ls, sync,
# mv, presign and rm, from an empty file to 1 GiB, and of s3api object lock,
# policies, tags and versions. What comes back must be byte-equal.
#
# Without an argument it takes the first aws on the path, whatever its version;
# aws2.sh calls it with 2.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# version <program> prints its major version.
version() { "$1" --version 2>/dev/null | sed -n 's|^aws-cli/\([0-9]*\)\..*|\1|p'; }

first=$(command -v aws) || present aws
if [ "$#" = 0 ]; then
	aws=$first
	max=$((1024 * mib))
else
	client=aws$1
	aws=
	while read -r candidate; do
		[ "$(version "$candidate")" != "$1" ] || { aws=$candidate && break; }
	done < <(type -ap aws)
	if [ -z "$aws" ]; then
		echo "$client: not run: no aws of version $1 is installed"
		exit 0
	fi
	if [ "$aws" = "$first" ]; then
		echo "$client: not run: aws.sh ran with this one, $("$aws" --version)"
		exit 0
	fi
fi
"$aws" --version
start_server
aws() { "$aws" --endpoint-url "$endpoint" "$@"; }
s3() { aws s3 "$@" --only-show-errors; }

cp_back() {
	random "$1" "$work/up"
	s3 cp "$work/up" "s3://clients/dir/$1"
	s3 cp "s3://clients/dir/$1" "$work/down"
	cmp "$work/up" "$work/down"
}

listed() {
	local want
	want=$(sizes "$max" | wc -l)
	aws s3 ls s3://clients/ | grep 'PRE dir/'
	[ "$(aws s3 ls s3://clients/dir/ | wc -l)" = "$want" ]
	aws s3 ls --recursive --summarize s3://clients/ | grep "Total Objects: $want"
	aws s3 ls | grep ' clients$'
}

removed() {
	s3 rm s3://clients/dir/0
	fails aws s3 ls s3://clients/dir/0
	s3 rm --recursive s3://clients/dir/
	[ -z "$(aws s3 ls s3://clients/dir/)" ]
}

# A file replaced, one removed and one new: sync and sync --delete see each.
synced() {
	tree "$work/tree" 100
	s3 sync "$work/tree" s3://clients/sync/
	s3 sync s3://clients/sync/ "$work/back"
	diff -r "$work/tree" "$work/back"
	[ -z "$(aws s3 sync "$work/tree" s3://clients/sync/ --dryrun)" ]
	random 1234 "$work/tree/dir01/new file"
	random 90001 "$work/tree/dir02/$(ls "$work/tree/dir02" | sed -n 1p)"
	rm "$work/tree/dir03/$(ls "$work/tree/dir03" | sed -n 1p)"
	s3 sync --delete "$work/tree" s3://clients/sync/
	s3 sync --delete s3://clients/sync/ "$work/back"
	diff -r "$work/tree" "$work/back"
	s3 sync s3://clients/sync/ s3://clients/copied/
	s3 sync s3://clients/copied/ "$work/copied"
	diff -r "$work/tree" "$work/copied"
}

# A copy above 8 MiB is made of UploadPartCopy; version 2 then carries metadata
# and tags over by itself, version 1 does not.
moved() {
	local size
	for size in 1000 $((20 * mib)); do
		random "$size" "$work/up"
		s3 cp "$work/up" s3://clients/move/a --content-type text/x-sherd --metadata colour=blue
		s3 cp s3://clients/move/a s3://clients/move/b
		s3 mv s3://clients/move/b s3://clients/move/c
		s3 cp s3://clients/move/c "$work/down"
		cmp "$work/up" "$work/down"
		fails aws s3 ls s3://clients/move/b
		[ "$size" = 1000 ] || [ "$(version "$aws")" != 1 ] || continue
		aws s3api head-object --bucket clients --key move/c --output text --query '[ContentType,Metadata.colour]' |
			grep 'text/x-sherd[[:space:]]blue'
	done
}

streamed() {
	random $((9 * mib)) "$work/up"
	s3 cp - s3://clients/streamed <"$work/up"
	s3 cp s3://clients/streamed - >"$work/down"
	cmp "$work/up" "$work/down"
}

presigned() {
	local url
	random 70000 "$work/up"
	s3 cp "$work/up" "s3://clients/pre signed/a+b"
	url=$(aws s3 presign "s3://clients/pre signed/a+b" --expires-in 60)
	echo "$url"
	curl --silent --show-error --fail-with-body --output "$work/down" "$url" || { cat "$work/down"; return 1; }
	cmp "$work/up" "$work/down"
}

api() { aws s3api "$@" --output text; }
fetch() { curl --silent --show-error --fail "$@"; }

locked() {
	local id until
	until=$(date --utc --date '+1 day' +%Y-%m-%dT%H:%M:%SZ)
	api create-bucket --bucket clients-lock --object-lock-enabled-for-bucket
	api put-object-lock-configuration --bucket clients-lock --object-lock-configuration \
		'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=1}}'
	api get-object-lock-configuration --bucket clients-lock | grep 'GOVERNANCE'
	fails api put-bucket-versioning --bucket clients-lock --versioning-configuration Status=Suspended
	id=$(api put-object --bucket clients-lock --key a --body "$work/up" --query VersionId)
	api get-object-retention --bucket clients-lock --key a | grep GOVERNANCE
	fails api delete-object --bucket clients-lock --key a --version-id "$id"
	fails api put-object-retention --bucket clients-lock --key a --retention "Mode=GOVERNANCE,RetainUntilDate=2020-01-01T00:00:00Z"
	api put-object-retention --bucket clients-lock --key a --retention "Mode=GOVERNANCE,RetainUntilDate=$until" --bypass-governance-retention
	api put-object-legal-hold --bucket clients-lock --key a --legal-hold Status=ON
	[ "$(api get-object-legal-hold --bucket clients-lock --key a --query LegalHold.Status)" = ON ]
	fails api delete-object --bucket clients-lock --key a --version-id "$id" --bypass-governance-retention
	api put-object-legal-hold --bucket clients-lock --key a --legal-hold Status=OFF
	api delete-object --bucket clients-lock --key a --version-id "$id" --bypass-governance-retention
	api delete-bucket --bucket clients-lock
}

# The bucket is public where the policy says so, and nowhere else.
policies() {
	s3 cp "$work/up" s3://clients/public/a
	s3 cp "$work/up" s3://clients/private/a
	fails api get-bucket-policy --bucket clients
	api put-bucket-policy --bucket clients --policy \
		'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::clients/public/*"}]}'
	api get-bucket-policy --bucket clients | grep 's3:GetObject'
	[ "$(api get-bucket-policy-status --bucket clients --query PolicyStatus.IsPublic)" = True ]
	fetch "$endpoint/clients/public/a" | cmp - "$work/up"
	fails fetch "$endpoint/clients/private/a"
	api put-public-access-block --bucket clients --public-access-block-configuration RestrictPublicBuckets=true
	fails fetch "$endpoint/clients/public/a"
	api delete-public-access-block --bucket clients
	fetch "$endpoint/clients/public/a" | cmp - "$work/up"
	fails api put-bucket-policy --bucket clients --policy '{"Version":"2012-10-17"}'
	api delete-bucket-policy --bucket clients
	fails fetch "$endpoint/clients/public/a"
}

tagged() {
	s3 cp "$work/up" s3://clients/tagged
	api put-object-tagging --bucket clients --key tagged --tagging 'TagSet=[{Key=colour,Value=blue},{Key=a b,Value=ü}]'
	[ "$(api get-object-tagging --bucket clients --key tagged --query 'length(TagSet)')" = 2 ]
	api copy-object --bucket clients --key tagged-copy --copy-source clients/tagged
	[ "$(api get-object-tagging --bucket clients --key tagged-copy --query 'length(TagSet)')" = 2 ]
	api delete-object-tagging --bucket clients --key tagged
	[ "$(api get-object-tagging --bucket clients --key tagged --query 'length(TagSet)')" = 0 ]
	fails api get-bucket-tagging --bucket clients
	api put-bucket-tagging --bucket clients --tagging 'TagSet=[{Key=colour,Value=blue}]'
	api get-bucket-tagging --bucket clients | grep blue
	api delete-bucket-tagging --bucket clients
	fails api get-bucket-tagging --bucket clients
}

# Old versions by their ids, and what stands still while versioning is suspended.
versions() {
	local one
	api create-bucket --bucket clients-versions
	api put-bucket-versioning --bucket clients-versions --versioning-configuration Status=Enabled
	one=$(api put-object --bucket clients-versions --key a --body "$work/up" --query VersionId)
	api put-object --bucket clients-versions --key a
	api get-object --bucket clients-versions --key a --version-id "$one" "$work/down"
	cmp "$work/up" "$work/down"
	[ "$(api head-object --bucket clients-versions --key a --query ContentLength)" = 0 ]
	api put-bucket-versioning --bucket clients-versions --versioning-configuration Status=Suspended
	[ "$(api put-object --bucket clients-versions --key a --query VersionId)" = null ]
	api put-object --bucket clients-versions --key a
	[ "$(api list-object-versions --bucket clients-versions --query 'length(Versions)')" = 3 ]
	api copy-object --bucket clients-versions --key a --copy-source "clients-versions/a?versionId=$one"
	api get-object --bucket clients-versions --key a "$work/down"
	cmp "$work/up" "$work/down"
	fails api delete-bucket --bucket clients-versions
	aws s3api list-object-versions --bucket clients-versions --output json --query '{Objects: Versions[].{Key: Key, VersionId: VersionId}}' >"$work/versions.json"
	api delete-objects --bucket clients-versions --delete "file://$work/versions.json"
	api delete-bucket --bucket clients-versions
}

unversioned() {
	aws s3api put-bucket-versioning --bucket clients --versioning-configuration Status=Enabled
	echo one | aws s3 cp - s3://clients/versions/a
	echo two | aws s3 cp - s3://clients/versions/a
	aws s3 rm s3://clients/versions/a
	[ "$(aws s3api list-object-versions --bucket clients --prefix versions/ --output text --query 'length(Versions)')" = 2 ]
	[ "$(aws s3api list-object-versions --bucket clients --prefix versions/ --output text --query 'length(DeleteMarkers)')" = 1 ]
	local id
	for id in $(aws s3api list-object-versions --bucket clients --prefix versions/ --output text --query '[Versions,DeleteMarkers][].VersionId'); do
		aws s3api delete-object --bucket clients --key versions/a --version-id "$id"
	done
	[ "$(aws s3api list-object-versions --bucket clients --prefix versions/ --output text --query 'length(Versions || `[]`)')" = 0 ]
}

check 's3 mb' aws s3 mb s3://clients
for size in $(sizes "$max"); do check "s3 cp, $size bytes, byte-equal" cp_back "$size"; done
check 's3 ls' listed
check 's3 rm' removed
check 's3 sync, 100 files' synced
check 's3 cp and mv between keys' moved
check 's3 cp from and to a pipe' streamed
check 's3 presign' presigned
check 's3api object lock' locked
check 's3api policy' policies
check 's3api tags' tagged
check 's3api versions and suspension' versions
check 's3 rb --force' aws s3 rb --force s3://clients
check 's3 mb again' aws s3 mb s3://clients
check 's3api versions' unversioned
