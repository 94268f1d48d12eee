# One task runner for people and CI. `make` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first interpreter that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for it in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$it >/dev/null && $$it -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$it; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := mesh servers sidecar perf examples/digits examples/checkout
RUST_SOURCES := $(shell find native protos -name target -prune -o \
	\( -name '*.rs' -o -name '*.toml' -o -name '*.proto' -o -name 'Cargo.lock' -o -name '*.json' \) -print)
MATURIN := cd native && VIRTUAL_ENV=$(CURDIR)/$(VENV) $(CURDIR)/$(BIN)/maturin
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# What libFuzzer learns from: which edges ran and what was compared. Build scripts and macros go without, because a
# target is named.
COVERAGE := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)
PAGE_SOURCES := mesh/page/package.json mesh/page/package-lock.json mesh/page/tsconfig.json mesh/page/vite.config.ts \
	mesh/page/index.html $(shell find mesh/page/src -type f)
# What an image holds, at the versions that the tests ran with: its name, its distribution and extras.
export_image = $(BIN)/uv export --quiet --frozen --no-default-groups --no-emit-workspace --no-header --no-annotate \
	--output-file requirements/image-$(1).txt --package $(2)
step = @printf '\033[1m==> %s\033[0m\n'

.PHONY: help
help: ## This list
	@echo "infermesh: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[36m%-11s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.native $(VENV)/.page ## Everything needed to work here: Python environment, Rust data plane, page

.PHONY: demo
demo: setup ## Two meshes on this machine: digits that are read, and a shop that holds fraud
	$(step) "digits: train, infermesh up, infer"
	@$(BIN)/python -m digits.demo
	$(step) "checkout: train, the shop alone, the shop in a mesh"
	@$(BIN)/python -m checkout --with-sidecar

.PHONY: checkout
checkout: setup ## Place orders with a shop, and show what a fraud model would be worth to it
	$(step) "checkout: train, sell"
	@$(BIN)/python -m checkout

.PHONY: test
test: setup test-rust test-python ## All tests, Rust and Python, WORKERS=2 files at a time

.PHONY: test-rust
test-rust: $(VENV)/.tools
	$(step) "Rust tests"
	@cd native && cargo test --locked --workspace --exclude infermesh-python --exclude infermesh-fuzz

.PHONY: fuzz
fuzz: setup ## Fuzz what reads a peer's bytes, SECONDS_EACH=20 for each target; a crash is kept in out/fuzz
	$(step) "fuzzing: instrumented build"
	@cd native/fuzz && RUSTFLAGS="$(COVERAGE)" cargo build --locked --profile fuzz --quiet \
		--target $(HOST) --target-dir ../target/fuzz
	@$(BIN)/python native/fuzz/seeds.py out/fuzz/corpus
	@for target in grpc http frames loadgen enrich transcode; do \
		printf '\033[1m==> fuzzing: %s\033[0m\n' $$target; \
		mkdir -p out/fuzz/$$target; \
		native/target/fuzz/$(HOST)/fuzz/$$target out/fuzz/corpus/$$target -artifact_prefix=out/fuzz/$$target/ \
			-max_total_time=$(or $(SECONDS_EACH),20) -max_len=8192 -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
			-print_final_stats=1 >out/fuzz/$$target.log 2>&1 || { tail -n 60 out/fuzz/$$target.log; exit 1; }; \
		sed -n 's/^stat::number_of_executed_units: */inputs tried: /p' out/fuzz/$$target.log; \
	done

.PHONY: test-python
test-python: setup
	$(step) "a real Envoy, for the tests that speak with one"
	@$(BIN)/infermesh perf peers setup envoy
	$(step) "Python tests"
	@$(BIN)/pytest --numprocesses=$(or $(WORKERS),2) --dist=loadfile

.PHONY: check
check: setup ## Format, lint, types, protos, generated stubs; warnings are errors
	$(step) "rustfmt and clippy"
	@cd native && cargo fmt --all --check
	@cd native && cargo clippy --locked --workspace --exclude infermesh-fuzz --all-targets --all-features --quiet -- -D warnings
	$(step) "ruff"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	$(step) "mypy and stubtest"
	@$(BIN)/mypy mesh servers sidecar perf native/python native/fuzz examples/digits/digits examples/checkout/checkout tests protos
	@$(BIN)/python -m mypy.stubtest infermesh_native --concise
	$(step) "protos: buf lint, generated stubs"
	@$(BIN)/buf lint
	@$(BIN)/python protos/generate.py --check

.PHONY: docs
docs: $(VENV)/.packages ## Build the documentation as a site into out/site; a broken link is an error
	$(step) "documentation"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: bench
bench: setup ## Set up the peers and measure infermesh beside them (h2load needed)
	@$(BIN)/python -m infermesh_perf.bench $(ARGS)

.PHONY: format
format: setup ## Format Rust, Python and protos
	@cd native && cargo fmt --all
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .
	@$(BIN)/buf format -w

.PHONY: page
page: $(VENV)/.page ## Build the page of the live picture (Node.js needed)

.PHONY: stubs
stubs: setup ## Write the Python stubs of protos/ anew
	@$(BIN)/python protos/generate.py

.PHONY: wheels
wheels: setup ## Build the distributions into dist/
	@$(MATURIN) build --release --out $(CURDIR)/dist
	@for member in mesh servers sidecar perf; do $(BIN)/uv build --wheel --quiet --out-dir dist $$member; done

.PHONY: images
images: wheels ## Build the container images (buildah needed), IMAGES="sidecar server server-cuda"
	@mesh/images/build $(IMAGES)

.PHONY: test-images
test-images: wheels ## Build the images on this machine's Debian and run them (root, buildah, podman, runc, mmdebstrap)
	@$(BIN)/pytest -m slow tests/deploy/test_images.py -rs

.PHONY: lock
lock: $(VENV)/.tools ## Resolve the dependencies anew into requirements/
	@$(BIN)/uv lock --quiet --upgrade --python $(BIN)/python
	@$(BIN)/uv export --quiet --all-packages --all-groups --no-emit-workspace --no-header --no-annotate \
		--output-file requirements/dev.txt
	@$(call export_image,sidecar,infermesh-sidecar)
	@$(call export_image,server,infermesh-servers --extra cpu --extra s3 --extra bf16)
	@$(call export_image,server-cuda,infermesh-servers --extra gpu-libraries --extra s3 --extra bf16)
	@rm uv.lock
	@cd native && cargo update --quiet

.PHONY: clean
clean: ## Remove what was built, the environment included
	rm -rf $(VENV) out dist native/target native/python/infermesh_native/*.so \
		mesh/page/node_modules mesh/infermesh/overview/static

# Each stamp is one step of the set-up; it runs again when what it depends on has changed.

$(VENV)/.tools: requirements/bootstrap.txt
	@[ -n "$(PYTHON)" ] || { echo "make: Python 3.11 or later is needed (python.org, or your package manager)"; exit 2; }
	@command -v cargo >/dev/null || { echo "make: a Rust toolchain is needed: https://rustup.rs"; exit 2; }
	@command -v cc >/dev/null || { echo "make: a C linker is needed (Debian: apt-get install gcc)"; exit 2; }
	$(step) "Python environment in $(VENV)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.packages: requirements/dev.txt $(VENV)/.tools
	$(step) "Python packages"
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.members: $(foreach member,$(MEMBERS),$(member)/pyproject.toml) $(VENV)/.packages
	$(step) "this workspace's packages"
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation \
		$(foreach member,$(MEMBERS),-e $(member))
	@touch $@

$(VENV)/.native: $(RUST_SOURCES) $(VENV)/.members
	$(step) "Rust data plane (some minutes the first time)"
	@$(MATURIN) develop --uv --release --locked
	@touch $@

$(VENV)/.page: $(PAGE_SOURCES) $(VENV)/.tools
	@command -v npm >/dev/null || { echo "make: Node.js 20 or later is needed (Debian: apt-get install nodejs npm)"; exit 2; }
	$(step) "page of the live picture"
	@cd mesh/page && npm ci --silent && npm run --silent check && npm run --silent build
	@touch $@
