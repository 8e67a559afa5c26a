# Needs Python >= 3.11 and make; everything else is installed into .venv from the hashed lock files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What `make demo` needs: Headgate itself, without the tools of tests and checks.
RUNS := $(VENV)/.runs
LOCKER := build/lock
# The clients that `make test-clients` runs: many packages, so in an environment of their own.
CLIENTS := build/clients
ARGS ?=
# Workers of pytest: as many as there are cores unless told.
JOBS ?= auto

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo setup test test-clients check lint format types imports ceilings soak goldens bench bench-peers bench-limits lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

define made_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headgate needs Python >= 3.11; try make PYTHON=python3.12")'
@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
endef

NOT_INSTALLED = { echo "Packages could not be installed. This needs the internet, or a mirror that PIP_INDEX_URL names; then run make again." >&2; exit 1; }

$(READY): requirements/test.lock pyproject.toml
	$(made_venv)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/test.lock || $(NOT_INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(RUNS)

$(RUNS): requirements/run.lock requirements/build.lock pyproject.toml
	$(made_venv)
	@echo "Installing Headgate into $(VENV), once; this takes up to a minute."
	@$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/run.lock -r requirements/build.lock || $(NOT_INSTALLED)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(RUNS) ## See it work: a gateway, simulated providers, real calls (ARGS=--once: the summary alone)
	@$(BIN)/headgate demo $(ARGS)

setup: $(READY) ## Make .venv with everything that tests and checks need

test: $(READY) ## Run the tests (ARGS="-k name" chooses)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

$(CLIENTS)/.ready: requirements/clients.lock requirements/build.lock pyproject.toml
	@$(CLIENTS)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --require-hashes --only-binary :all: \
		-r requirements/clients.lock -r requirements/build.lock
	$(CLIENTS)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

test-clients: $(CLIENTS)/.ready ## Run real clients and agent frameworks against every kind of upstream
	$(CLIENTS)/bin/python -m pytest -n $(JOBS) --dist worksteal -m clients tests/clients $(ARGS)

soak: $(READY) ## Run what takes longer than the tests may
	$(BIN)/python -m pytest -n 0 -m soak $(ARGS)

goldens: $(READY) ## Write the golden files of translated requests and answers anew; says which changed
	$(BIN)/python -m tests.goldens

check: lint types imports ceilings ## Lint, format, types, import contracts, ceilings

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	$(BIN)/mypy

imports: $(READY) ## import-linter contracts
	$(BIN)/lint-imports

ceilings: $(READY) ## Sizes of files and functions, broad excepts
	$(BIN)/python tools/ceilings.py src tests bench tools

format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Compare with nginx, six minutes (ARGS=--quick for two); writes its part of bench/RESULTS.md
	$(BIN)/python -m bench $(ARGS)

bench-peers: $(READY) ## Compare with LiteLLM and Portkey too, a quarter of an hour; writes bench/RESULTS.md, docs/bench.svg
	$(BIN)/python -m bench --with-peers $(ARGS)

bench-limits: $(READY) ## What limits and wrong keys cost, ten minutes; writes its part of bench/RESULTS.md
	$(BIN)/python -m bench.limits $(ARGS)

# The lock files hold for every platform and for Python 3.11 and later; the runtime's versions bind the tests'.
LOCK := $(LOCKER)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

lock: ## Write the lock files anew (ARGS=--upgrade for newer versions)
	test -x $(LOCKER)/bin/uv || { $(PYTHON) -m venv $(LOCKER) && $(LOCKER)/bin/python -m pip install --quiet uv; }
	$(LOCK) $(ARGS) pyproject.toml -o requirements/run.lock
	$(LOCK) $(ARGS) pyproject.toml --group pyproject.toml:dev -c requirements/run.lock -o requirements/test.lock
	$(LOCK) $(ARGS) pyproject.toml --group pyproject.toml:clients -c requirements/test.lock -o requirements/clients.lock
	$(LOCK) $(ARGS) --group pyproject.toml:build -c requirements/test.lock -o requirements/build.lock

clean: ## Remove what was built and cached, .venv too
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
