# What can be done with this tree. `make` alone lists it.

FUZZTIME ?= 30s
BENCHTIME ?= 1s
BENCH ?= .
COUNT ?= 1
SOAKTIME ?= 4h

.PHONY: help test race lint fuzz soak mutants bench conformance ci

help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  variables: FUZZTIME=$(FUZZTIME) BENCHTIME=$(BENCHTIME) BENCH=$(BENCH) COUNT=$(COUNT) SOAKTIME=$(SOAKTIME), SHERD_SEED from the environment"

test: ## run every test of every module, then the root module alone
	go test work
	GOWORK=off go test ./...

race: ## run every test of the root module under the race detector
	go test -race ./...

lint: ## gofmt, go vet, staticcheck and the rules of the house
	bash .ci/lint.sh

fuzz: ## run every Fuzz target for FUZZTIME each
	FUZZTIME=$(FUZZTIME) bash .ci/fuzz.sh

soak: ## run the long loops of the tests (SHERD_LONG=1; SHERD_SEED replays), failing if not done in SOAKTIME
	SHERD_LONG=1 go test -count=1 -v -timeout $(SOAKTIME) . ./internal/... ./layout/... ./s3api/... ./examples/server

mutants: ## break the code in one place after the other, and see that its tests notice
	SHERD_LONG=1 go test -count=1 -v -timeout $(SOAKTIME) ./internal/mutants

bench: ## run the benchmarks of the root module and of bench/ (BENCH, BENCHTIME, COUNT)
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -count $(COUNT) -benchmem ./...
	go -C bench test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -count $(COUNT) -benchmem ./...

conformance: ## try the S3 handler with real clients (.ci/clients/*.sh), with files to 1 GiB
	SHERD_CLIENT_MAX_MIB=$${SHERD_CLIENT_MAX_MIB:-1024} bash .ci/conformance.sh

ci: ## everything that continuous integration runs
	bash .ci/run
