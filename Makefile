# The doors of the project. `make help` lists them.
export CGO_ENABLED ?= 0
GO ?= go
SEED ?=

.PHONY: help build check test test-all long sim golden bench interop wire-diff cross docs clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## the binary, into bin/barnabas
	$(GO) build -trimpath -o bin/barnabas ./cmd/barnabas

check: ## vet, house rules, quick tests
	$(GO) vet ./...
	$(GO) test ./internal/tidy ./internal/wire ./internal/batch ./internal/replica/... ./internal/config

test: ## all Go tests without a C compiler (under 3 minutes)
	$(GO) vet ./...
	$(GO) test ./...

cross: ## build and vet for every platform we promise
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; GOOS=$$os GOARCH=$$arch $(GO) build -o /dev/null ./cmd/barnabas && GOOS=$$os GOARCH=$$arch $(GO) vet ./... || exit 1; \
	done; done

clean: ## what builds and tests leave behind
	rm -rf bin tmp
