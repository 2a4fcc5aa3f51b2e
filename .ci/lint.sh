#!/usr/bin/env bash
# gofmt, go vet, staticcheck and internal/lint over every module. All of them
# run, then the script fails if one did.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

failed=0

unformatted=$(find . -name '*.go' -not -path './.git/*' -not -path '*/testdata/*' -exec gofmt -l {} +)
if [ -n "$unformatted" ]; then
	printf 'gofmt would change:\n%s\n' "$unformatted"
	failed=1
fi

staticcheck=$(tool staticcheck)
for m in $(modules); do
	echo "vet and staticcheck in $m"
	(cd "$m" && go vet ./...) || failed=1
	(cd "$m" && "$staticcheck" ./...) || failed=1
done

go test -count=1 ./internal/lint || failed=1
exit "$failed"
