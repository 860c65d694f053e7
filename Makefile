# What people and CI type. `make help` lists it.

GO        ?= go
IMAGE     ?= 0.1.0
VERSION   ?= $(shell git describe --tags 2>/dev/null || echo devel)
COMMIT    ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
BENCH     ?= .
BENCHTIME ?= 1s
FUZZTIME  ?= 20s
PKGS      ?= ./...

# Stripped, static, without this machine's paths: the same sources and the same Go
# give the same bytes. The profile tells the compiler which code everyday traffic comes through.
STAMP = github.com/sluicegate/sluice/version
PROFILE = cmd/traffic.pgo
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false \
	-ldflags '-s -w -buildid= -X $(STAMP).number=$(VERSION) -X $(STAMP).commit=$(COMMIT)'

.DEFAULT_GOAL := help
.PHONY: help demo build crds image test unit api-server race test-cluster loadtest profile lint bench fuzz tools clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run bookinfo behind the gateway, on this machine
	$(GO) run ./cmd/sluice demo

build: crds ## static, stripped, reproducible binaries in bin/
	$(BUILD) -o bin/sluice ./cmd/sluice
	$(BUILD) -pgo $(PROFILE) -o bin/sluice-gateway ./cmd/gateway
	$(BUILD) -pgo $(PROFILE) -o bin/sluice-sidecar ./cmd/sidecar

# The definitions of Istio's API are embedded in sluice; no copy of them is kept in git.
crds:
	@rm -f deploy/crds/generated/*.yaml
	@install -m 644 "$$($(GO) list -m -f '{{.Dir}}' istio.io/api)/kubernetes/customresourcedefinitions.gen.yaml" \
		"deploy/crds/generated/istio-api-$$($(GO) list -m -f '{{.Version}}' istio.io/api).yaml"

image: ## container images in bin/images, for amd64 and arm64; that takes no container engine
	cd deploy/image && $(GO) run . -root ../.. -o ../../bin/images -version $(IMAGE) -commit '$(COMMIT)'

# Each part runs whatever became of the one before: one run tells everything.
test: ## lint, every test, and the shorter ones again with the race detector
	@status=0; \
	for part in lint unit api-server race; do \
		$(MAKE) --no-print-directory $$part || status=1; \
	done; \
	exit $$status

unit: ## every test, without the race detector: time and allocations are budgeted
	@status=0; $(GO) test -timeout 15m $(PKGS) || status=1; \
	for module in test/protocols test/observability loadtest deploy/image test/helm; do \
		(cd $$module && $(GO) test -timeout 15m ./...) || status=1; \
	done; \
	exit $$status

loadtest: tools ## the gateway next to nginx, HAProxy, Caddy and Traefik; LOADTEST='--works http1-1k' narrows it
	cd loadtest && $(GO) run . run $(LOADTEST)

profile: tools ## where everyday traffic spends its time, anew, for the compiler (cmd/traffic.pgo)
	cd loadtest && $(GO) run . profile --duration 15s ../$(PROFILE)

# With the flags that Kubernetes is built with, its packages are in the build cache.
api-server: crds ## the gateway against a real API server; that takes minutes to build at first
	test/kubernetes/build.sh api
	cd test/kubernetes && export CGO_ENABLED=0 GOFLAGS='-buildvcs=false -trimpath' && \
		$(GO) vet ./apiserver ./cluster && $(GO) test -count=1 -timeout 10m ./apiserver

# Not part of test: it takes root, control groups and minutes; test/kubernetes/README.md says more.
test-cluster: crds ## the chart, bookinfo, restarts under load on a real Kubernetes node; root on Debian
	test/kubernetes/test-cluster.sh

race: ## the tests under the race detector, the long ones left out
	$(GO) test -race -short -timeout 15m $(PKGS)

lint: ## gofmt, go.mod, go vet, staticcheck (its version is pinned in go.mod)
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)
	cd test/protocols && $(GO) mod tidy -diff && $(GO) vet ./...
	cd test/observability && $(GO) mod tidy -diff && $(GO) vet ./...
	cd loadtest && $(GO) mod tidy -diff && $(GO) vet ./...
	cd deploy/image && $(GO) mod tidy -diff && $(GO) vet ./...
	cd test/helm && $(GO) mod tidy -diff && $(GO) vet ./...
	cd test/kubernetes && $(GO) mod tidy -diff

bench: ## every benchmark; BENCH=regexp and BENCHTIME=1s narrow it
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PKGS)

fuzz: ## every fuzz target for FUZZTIME each
	@set -e; \
	for file in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "== $$name in $$(dirname $$file)"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
		done; \
	done

tools: ## what some tests need from Debian: peers, clients, servers
	test/install-tools.sh

clean: ## remove bin/
	rm -rf bin
