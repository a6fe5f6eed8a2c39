# Everything works on a machine that has make and Python 3.11 or newer: each target builds .venv by itself.
#
#   make run      the demo, with its own database and users, on this machine
#   make test     the suite
#   make system   the part of the suite that starts processes, or talks to programs of others (node, nginx, caddy, curl)
#   make browser  the pages in a real Chromium, which has to be there: apt-get install chromium
#   make check    format, lint, import contracts, types, and the packages as they would be released
#   make coverage the suite and make system, with coverage of server/ and storage/
#   make bench    the benchmarks
#   make clean    removes what the others made
#
# PYTHON chooses the interpreter: make test PYTHON=python3.13

PYTHON ?= python3
MIN_COVERAGE := 95
TEST_PROCESSES ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# The stamps carry the version of Python, so that another PYTHON starts over.
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
READY := $(VENV)/ready-$(PYTHON_VERSION)
RUN := $(VENV)/run-$(PYTHON_VERSION)
DEV := $(VENV)/dev-$(PYTHON_VERSION)

.PHONY: run test system browser check coverage bench clean

run: $(RUN)
	$(BIN)/grantwell serve --demo

test: $(DEV)
	$(BIN)/python -m pytest --ignore=tests/browser -m "not system" --numprocesses=$(TEST_PROCESSES) --dist=loadfile

system: $(DEV)
	$(BIN)/python -m pytest tests --ignore=tests/browser -m system --numprocesses=$(TEST_PROCESSES) --dist=loadfile

browser: $(DEV)
	$(BIN)/python -m pytest tests/browser --numprocesses=$(TEST_PROCESSES) --dist=loadfile

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python .ci/release_check.py

coverage: $(DEV)
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest --ignore=tests/browser --numprocesses=$(TEST_PROCESSES) --dist=loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='server/*,storage/*' --fail-under=$(MIN_COVERAGE)

bench: $(DEV)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Grantwell needs Python 3.11 or newer, and '$(PYTHON)' is $(or $(PYTHON_VERSION),not a Python that runs here)." \
	    "Name another one: make $(or $(MAKECMDGOALS),run) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@$(PIP) install 'pip>=25.1'
	@touch $@

$(RUN): pyproject.toml | $(READY)
	@echo "Installing Grantwell into $(VENV) …"
	@$(PIP) install --editable '.[mcp]'
	@touch $@

$(DEV): pyproject.toml | $(READY)
	@echo "Installing Grantwell and its development tools into $(VENV) …"
	@$(PIP) install --editable '.[mcp]' --group dev
	@touch $@ $(RUN)
