# Needs Python 3.11 or later and make; everything else is installed into .venv and the user's cache.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install demo test check format up down bench lock deps-debian clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Debian packages that tests can use beyond what the lock file brings. None is needed yet.
DEBIAN_PACKAGES :=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv from the lock file (the other targets do this themselves)

$(INSTALLED): requirements.lock pyproject.toml
	@python=$$(for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then echo "$$candidate"; break; fi; done); \
	if [ -z "$$python" ]; then \
	    echo "Twofold needs Python 3.11 or later; found: $$(python3 --version 2>&1 || echo none)." \
	         "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; fi; \
	if ! "$(BIN)/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv --clear $(VENV) || { echo "could not make $(VENV): on Debian, apt-get install python3-venv" >&2; exit 1; }; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(INSTALLED)

demo: $(INSTALLED) ## 50,000 intents from Kafka to balanced, reconciled books in Postgres, then a report
	$(BIN)/python -m examples.demo

test: $(INSTALLED) ## run every test, on real Kafka, registry and Postgres (two at a time, each with a stack of its own)
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(INSTALLED) ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED) ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

up: $(INSTALLED) ## start Kafka, the registry, Postgres and the ledger's agents (stop with make down)
	$(BIN)/twofold up --detach

down: $(INSTALLED) ## stop what make up started; the data stay
	$(BIN)/twofold down

bench: $(INSTALLED) ## measure throughput, latency and the sink on this machine, then the same job in plain Faust
	$(BIN)/python -m bench.throughput
	$(BIN)/python -m bench.through
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.sink
	$(BIN)/python -m bench.against_faust

lock: $(INSTALLED) ## resolve all dependencies anew into requirements.lock
	@$(BIN)/pip-compile --quiet --upgrade --all-extras --generate-hashes --allow-unsafe --strip-extras --no-header \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --annotation-style=line \
	    --output-file=$(VENV)/requirements.new pyproject.toml
	@{ echo '# Every package that Twofold runs, tests and builds with, pinned by version and hash. Made by `make lock`.'; \
	    cat $(VENV)/requirements.new; } > requirements.lock

deps-debian: ## install the Debian packages that some tests can use
	@if [ -z "$(strip $(DEBIAN_PACKAGES))" ]; then echo "no Debian package is needed"; \
	elif ! command -v apt-get >/dev/null; then echo "no apt-get here: tests that need $(DEBIAN_PACKAGES) are skipped"; \
	elif [ "$$(id -u)" != 0 ]; then echo "not root: run 'sudo make deps-debian' to install $(DEBIAN_PACKAGES)"; \
	else apt-get update -qq && apt-get install -y -qq --no-install-recommends $(DEBIAN_PACKAGES); fi

clean: ## remove .venv and tool caches (not your data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
