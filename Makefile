# The doors of the project. `make` lists them.
GO ?= go
# Product code and its tests need no C compiler; only the race detector and the C clients do.
export CGO_ENABLED ?= 0
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build check test test-all race cross interop-install interop explain-matrix wire-diff kill sim golden bench bench-assignors long clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

build: ## the binary, into bin/barnabas
	$(GO) build -trimpath -o bin/barnabas ./cmd/barnabas

check: ## vet, house rules and quick tests, in a minute
	$(GO) vet ./...
	$(GO) test -short ./...

test: ## all Go tests; needs no C compiler, under 3 minutes
	$(GO) vet ./...
	$(GO) test ./...

race: ## Go tests under the race detector (needs a C compiler); internal/sim has one goroutine, and minutes of work
	CGO_ENABLED=1 $(GO) test -race $$($(GO) list ./... | grep -v '/internal/sim$$')

cross: ## build and vet for every platform that is promised
	@set -e; for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; GOOS=$$os GOARCH=$$arch $(GO) build -o /dev/null ./cmd/barnabas; \
		GOOS=$$os GOARCH=$$arch $(GO) vet ./...; done; done

interop-install: ## what the real clients need: Debian packages, Maven, npm, PyPI
	./interop/install.sh

interop: interop-install ## every real client against Barnabas; writes docs/interop.md
	cd interop && INTEROP_BROKER=barnabas INTEROP_DOCS=../../docs/interop.md CGO_ENABLED=1 $(GO) test ./clients -count=1 -timeout 20m
	cd interop && INTEROP_BROKER=barnabas CGO_ENABLED=1 $(GO) test ./groups -count=1 -timeout 20m
	cd interop && INTEROP_BROKER=barnabas CGO_ENABLED=1 $(GO) test ./groupstool ./console ./monitoring -p 1 -count=1 -timeout 20m
	cd interop && CGO_ENABLED=1 $(GO) run ./explainmatrix -brokers barnabas -causes C02,C06,C07

explain-matrix: interop-install ## every cause made with real clients, beside what explain calls it, on both brokers; writes its table into docs/explain.md
	cd interop && CGO_ENABLED=1 $(GO) run ./explainmatrix -docs ../docs/explain.md

wire-diff: interop-install ## every API and version, field by field, beside Apache Kafka
	cd interop && $(GO) run ./wirediff

kill: ## kill -9 under load, ten times
	cd interop && $(GO) run ./kill -n 10

sim: ## random groups in virtual time against their rules, and the power-cut simulation, from SEED on
	SIM_START=$(SEED) SIM_RUNS=2000 $(GO) test ./internal/sim -count=1 -timeout 60m -run '^TestTorture$$' -v
	POWERCUT_START=$(SEED) POWERCUT_SEEDS=200 $(GO) test ./internal/storage -count=1 -run '^TestPowerCut$$' -v

golden: ## rewrite goldens and generated docs; look at the difference before committing it
	$(GO) test ./internal/config ./internal/metrics ./internal/tidy ./internal/sim ./cmd/barnabas -rewrite

test-all: ## everything CI runs: race, cross builds, power cuts, ten kills, C, Java, npm and Python clients
	@began=$$(date +%s); set -e; \
	$(MAKE) --no-print-directory interop-install; \
	$(MAKE) --no-print-directory race; \
	$(MAKE) --no-print-directory cross; \
	$(MAKE) --no-print-directory interop; \
	$(MAKE) --no-print-directory kill; \
	echo "test-all took $$(( $$(date +%s) - began )) s"

bench: interop-install ## Barnabas beside Apache Kafka; writes bench/results and docs/benchmarks.md
	cd interop && $(GO) run ./bench
	$(MAKE) --no-print-directory bench-assignors

bench-assignors: interop-install ## the assignors beside Java's and franz-go's; writes its tables into docs/assignors.md
	BARNABAS_ASSIGN_DOCS=../docs/assignors.md $(GO) test ./assign -count=1 -timeout 60m -run '^TestDocs(Benchmarks|Grid)$$' -v

long: interop-install ## what takes hours: 200 kills, 10,000 power cuts, everything beside Apache Kafka; resumable, kept in bench/long.jsonl
	$(GO) run ./tools/long

clean: ## remove what builds and tests leave behind
	rm -rf bin tmp
