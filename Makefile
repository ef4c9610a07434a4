# Sekisho's commands. `make` alone lists them; each target's `##` is its line in that list.
# Re-running is fast: stamps in .venv and .tools say what is already there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
# The tests start hundreds of Python processes; where this is set, each compiles everything that it imports.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV := $(BIN)/uv
# uv takes seconds where pip takes a minute. pip has the word where uv is not there, as for users, and where uv does not
# reach the index that pip is set up for.
INSTALL := install() { { test -x $(UV) && $(UV) pip install --quiet --python $(BIN)/python "$$@"; } || $(PIP) install "$$@"; }; install
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
TOOLS_STAMP := .tools/.installed
TOOLS_BENCH_STAMP := .tools/.installed-bench

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo '  ARGS="..." adds arguments: make test ARGS="-k posture", make run ARGS="--port 9000"'

# --- what a user needs

.PHONY: setup
setup: $(RUN_STAMP) ## make .venv with the command pdp in it (needs Python 3.11 or newer, nothing else)

.PHONY: run
run: setup ## start the service with demonstration data on http://127.0.0.1:8080
	$(BIN)/pdp serve --demo $(ARGS)

# --- what a developer needs

.PHONY: dev
dev: $(DEV_STAMP) ## setup, and everything that check and test need in .venv

.PHONY: tools
tools: $(TOOLS_STAMP) ## the real servers that the tests run against, into .tools

.PHONY: check
check: static rego unit ## format, lint, types, imports, locks, Rego, unit tests: some six minutes on two cores

.PHONY: test
test: dev tools ## all tests, with real Envoy, OPA, Valkey and PostgreSQL
	$(BIN)/pytest --numprocesses=auto --dist=loadfile $(ARGS)

.PHONY: e2e
e2e: dev tools ## the system tests only
	$(BIN)/pytest tests/system $(ARGS)

.PHONY: fuzz
fuzz: dev ## the property tests, for longer and with fresh seeds
	$(BIN)/pytest $(wildcard tests/properties tests/fuzz) --hypothesis-profile=fuzz --timeout=1800 $(ARGS)

.PHONY: bench
bench: dev $(TOOLS_BENCH_STAMP) ## the decision log, then side by side with OPA, an echo and Cerbos: half an hour (ARGS=--quick: three)
	@$(BIN)/python -m bench.log_store $(if $(findstring --quick,$(ARGS)),--quick); log=$$?; \
	$(BIN)/python -m bench $(ARGS) && exit $$log

.PHONY: profile
profile: dev $(TOOLS_BENCH_STAMP) ## where each microsecond goes: a table, and flame graphs in bench/results
	$(BIN)/python -m bench.flame $(ARGS)

.PHONY: docs
docs: dev ## do the links in the documents resolve, do the commands they name exist
	$(BIN)/python tools/docs.py

.PHONY: format
format: dev ## write the formatting that check asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	if command -v .tools/bin/opa >/dev/null; then .tools/bin/opa fmt --write $$(git ls-files -co --exclude-standard '*.rego'); fi

.PHONY: lock
lock: dev ## rewrite requirements/*.txt from pyproject.toml (ARGS=--upgrade for newer versions)
	$(BIN)/python tools/lock.py write $(ARGS)

.PHONY: clean
clean: ## remove .venv, .tools, caches and built files; var/ (state) stays
	rm -rf $(VENV) .tools build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the parts of check

.PHONY: static
static: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/lock.py check

.PHONY: rego
rego: dev
	$(BIN)/python tools/rego.py

.PHONY: unit
unit: dev
	$(BIN)/pytest tests/unit --quiet --numprocesses=auto --dist=loadfile $(ARGS)

# --- files

$(BIN)/python:
	python=$$(PYTHON='$(PYTHON)' tools/find-python.sh) && "$$python" -m venv $(VENV)

# The project itself goes in last, without isolation and without dependencies: only locked packages run.
$(RUN_STAMP): requirements/run.txt pyproject.toml pdp/__init__.py | $(BIN)/python
	$(INSTALL) --require-hashes --requirement requirements/run.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	touch $@

# Its own lines of the locked requirements, before anything else is installed by it.
$(UV): requirements/dev.txt | $(BIN)/python
	awk '/^[^ #]/ {own = /^uv==/} own' $< >$(VENV)/uv.txt
	$(PIP) install --require-hashes --requirement $(VENV)/uv.txt
	touch $@

$(DEV_STAMP): requirements/dev.txt | $(UV) $(RUN_STAMP)
	$(INSTALL) --require-hashes --requirement requirements/dev.txt
	touch $@

$(TOOLS_STAMP): tools/install.py $(DEV_STAMP)
	$(BIN)/python tools/install.py
	touch $@

$(TOOLS_BENCH_STAMP): tools/install.py $(DEV_STAMP)
	$(BIN)/python tools/install.py --bench
	touch $@
