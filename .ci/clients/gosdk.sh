#!/usr/bin/env bash
# minio-go and aws-sdk-go-v2 with its transfer manager, over HTTP and HTTPS. What
# is checked are the tests of internal/conformance.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run() {
	SHERD_CLIENT_MAX_MIB=$2 go -C internal/conformance test -count=1 -timeout 30m -json ./... >"$work/tests.json" || failures+=("over $1")
	python3 - "$work/tests.json" "$client over $1" <<'END'
import json, sys
said = {}
for line in open(sys.argv[1]):
    e = json.loads(line)
    if e["Action"] in ("output", "build-output"):
        said.setdefault(e.get("Test"), []).append(e["Output"])
    elif e.get("Test") and e["Action"] in ("pass", "fail"):
        print("%s: %s: %s (%.0f s)" % (sys.argv[2], "ok" if e["Action"] == "pass" else "FAILED", e["Test"], e["Elapsed"]))
        if e["Action"] == "fail":
            print("".join(said[e["Test"]]))
    elif e["Action"] == "fail":
        print("".join(said.get(None, [])))
END
}

start_server
run HTTP "$((max / mib))"
stop_server
start_server tls
SSL_CERT_FILE=$work/cert.pem run HTTPS 20
