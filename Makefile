# Everything lives in .venv inside the checkout: `make run` and `make test` need Python 3.11 or newer and make, no more.
# Paths are relative, so the checkout may lie anywhere, spaces in its name included.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=
# Nothing for a run without coverage, in half the time: make test COV=
COV ?= --cov --cov-report=term:skip-covered
# How many processes run the tests: one more than CPUs, as tests often wait, and at most 4; with ARGS pytest alone, so that a
# single test is quick and --pdb and -x do what they say. Or: make test N=0, make test N=4 ARGS=tests/unit
N ?= $(if $(ARGS),0,$(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1))
# The Python that makes .venv; empty: the first that can of those named in .venv/.home below.
PYTHON ?=

BIN := .venv/bin
# In the order of their names the slow files come first: those of tests/faults and tests/integration.
PARALLEL = $(if $(filter-out 0,$(N)),-n $(N) --maxprocesses=4 --dist=loadfile --no-loadscope-reorder)
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
# A lock makes two makes in one checkout wait for each other's installation; without flock they merely should not meet.
INSTALLED = $$(command -v flock >/dev/null && echo flock pyproject.toml) $(MAKE) --no-print-directory --silent

# Settings of the user's shell that would mix other packages into .venv, or refuse to install there.
unexport PYTHONHOME PYTHONPATH
export PIP_USER = 0
export PIP_NO_INPUT = 1

# Tests and soaks start the command hundreds of times, which would compile all of it each time.
KEEPING_BYTECODE := env -u PYTHONDONTWRITEBYTECODE

.PHONY: help run test check bench soak clean FORCE
FORCE:

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: PYTHON=path of an interpreter, HOST and PORT of `make run`, N and COV= for tests,' \
		'ARGS for pytest, benchmarks and the soak'

run: ## install what is needed and serve examples/users.py on http://HOST:PORT (127.0.0.1:8000)
	@+$(INSTALLED) .venv/.app
	@exec $(BIN)/gristmill serve examples/users.py:app --host '$(HOST)' --port '$(PORT)'

test: ## install what is needed and run all tests, with branch coverage; ARGS='-k bisect -x' goes to pytest; N=4: processes
	@+$(INSTALLED) .venv/.test
	@exec $(KEEPING_BYTECODE) $(BIN)/python -m pytest $(PARALLEL) $(COV) $(ARGS)

check: ## lint, formatting, types and the direction of imports
	@+$(INSTALLED) .venv/.test .venv/.check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	for extra in tests/typing examples; do if [ -d $$extra ]; then $(BIN)/mypy $$extra || exit; fi; done
	$(BIN)/lint-imports

bench: ## install what is needed and run the benchmarks; ARGS goes to them
	@+$(INSTALLED) .venv/.test .venv/.bench
	@exec $(BIN)/python -m benchmarks $(ARGS)

soak: ## kill workers and stores at random, check what came of it; ARGS='--store all', or '--streams all' for runs over files
	@+$(INSTALLED) .venv/.test
	@exec $(KEEPING_BYTECODE) $(BIN)/python -m soak $(ARGS)

clean: ## remove .venv and every cache
	rm -rf .venv .coverage .coverage.* .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv whose interpreter is gone, or that came here with a copied or renamed checkout (it would import the
# sources of its old place), is made anew.
.venv/.home: FORCE
	@if [ "$$(cat $@ 2>/dev/null)" = "$$(pwd -P)" ] && $(BIN)/python -c '' 2>/dev/null; then exit 0; fi; \
	found=; fit=; \
	for candidate in $(if $(PYTHON),'$(PYTHON)',python3.13 python3.12 python3.11 python3 python); do \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$$candidate; \
		if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then fit=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'Python 3.11 or newer is needed, and none is on PATH. Install one, or name it: make PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi; \
	if [ -z "$$fit" ]; then \
		version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$found cannot make virtual environments: its module ensurepip is missing." >&2; \
		echo "On Debian and Ubuntu: apt-get install python$$version-venv. Or name another: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Installing into .venv with $$("$$fit" --version); this takes a minute, once." >&2; \
	rm -rf .venv && "$$fit" -m venv .venv && $(PIP_INSTALL) --upgrade pip && pwd -P > $@

.venv/.app: .venv/.home pyproject.toml constraints.txt
	$(PIP_INSTALL) --build-constraint constraints.txt -e '.[all]'
	touch $@

.venv/.test .venv/.check .venv/.bench: .venv/.%: .venv/.app
	$(PIP_INSTALL) --group $*
	touch $@
