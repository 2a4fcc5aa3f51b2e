#!/usr/bin/env bash
# The functional tests that come with minio-go, all of them, built from the copy
# in the module cache at the version that internal/conformance pins. Those that
# do not pass must be the ones in minio-functional.expected, each in the way that
# is said there: FAIL, or NA, which is what they call a request that is answered
# with NotImplemented. So a test that begins to fail is seen, and one that begins
# to pass must leave the list. Once over HTTP, and once over TLS, where the tests
# of customers' keys run.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

module=$(go -C internal/conformance mod download -json github.com/minio/minio-go/v7 2>/dev/null |
	sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
# Beside the library the file would be a second package in one folder.
mkdir "$work/minio-go"
cp -r "$module/." "$work/minio-go"
chmod -R u+w "$work/minio-go"
mkdir "$work/minio-go/functional"
mv "$work/minio-go/functional_tests.go" "$work/minio-go/functional/main.go"
GOWORK=off go -C "$work/minio-go" build -tags mint -o "$work/functional" ./functional

server_flags=(-ownership ObjectWriter) # they use access control lists
cat >"$work/compare.py" <<'END'
import collections, json, sys

order = ["PASS", "NA", "FAIL"]
worst, said = {}, {}  # a test may report more than once: the worst counts
for line in open(sys.argv[1]):
    try:
        e = json.loads(line)
    except ValueError:
        continue
    if "status" not in e:
        continue
    name = e["name"].removeprefix("minio-go: ")
    if name not in worst or order.index(e["status"]) > order.index(worst[name]):
        worst[name] = e["status"]
        said[name] = " ".join(("%s %s" % (e.get("message") or e.get("alert", ""), e.get("error", ""))).split())

expected = {}
for line in open(sys.argv[2]):
    if line.strip() and not line.startswith("#"):
        status, name, reason = line.split(None, 2)
        expected[name] = status

wrong = 0
for name in sorted(worst.keys() | expected.keys()):
    is_, should = worst.get(name, "not run"), expected.get(name, "PASS")
    if is_ != should:
        wrong += 1
        print("minio-functional: FAILED: %s: %s, and %s was expected: %.600s" % (name, is_, should, said.get(name, "")))
count = collections.Counter(worst.values())
print("minio-functional over " + sys.argv[3] + ": %d passed, %d failed, %d not applicable; %d not as expected" %
      (count["PASS"], count["FAIL"], count["NA"], wrong))
sys.exit(1 if wrong or not count["PASS"] else 0)
END

# functional [tls]
functional() {
	local status=0 secure=0
	start_server "$@"
	[ -z "${1:-}" ] || secure=1
	mkdir "$work/run" # they leave files where they run
	(cd "$work/run" && TMPDIR=$work SERVER_ENDPOINT=${endpoint#*://} ACCESS_KEY=$AWS_ACCESS_KEY_ID SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
		SSL_CERT_FILE=${1:+$work/cert.pem} ENABLE_HTTPS=$secure MINT_MODE=full RUN_ON_FAIL=1 \
		timeout 900 "$work/functional") >"$work/functional.json" 2>"$work/functional.err" || status=$?
	stop_server
	rm -rf "$work/run"
	if [ "$status" != 0 ]; then
		tail -n 40 "$work/functional.err"
		failures+=("the program ended with $status ${1:-}")
	fi
	python3 "$work/compare.py" "$work/functional.json" "$clients/minio-functional.expected" "${1:-http}" ||
		failures+=("not as minio-functional.expected says ${1:-}")
}

functional
functional tls
