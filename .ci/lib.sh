# What the scripts beside this file share. Sourced, not run.

# modules prints the folder of every module, the root first.
modules() {
	find . -name go.mod -not -path '*/testdata/*' -not -path './.git/*' -printf '%h\n' | sed 's|^\./||' | sort
}

# tool prints the path of a program pinned in internal/tools, built if need be.
tool() {
	go -C internal/tools tool -n "$1"
}

# A checkout may belong to another user than the one who builds.
export GOFLAGS="${GOFLAGS:--buildvcs=false}"
