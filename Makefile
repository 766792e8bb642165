# `make demo` and `make test` do all the set-up that they need: a machine with Python 3.11+ and make is enough.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all check format docs clean

demo: .venv/installed
	$(BIN)/advsweep run cifs/robustness --profile demo

# First what may run side by side, then what needs the machine for itself. See tests/README.md.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --durations=10

test: .venv/installed-test
	$(PYTEST) -n auto --dist loadgroup -m "not slow and not alone"
	$(PYTEST) -m "alone and not slow"

test-all: .venv/installed-test
	$(PYTEST) -n auto --dist loadgroup -m "not alone"
	$(PYTEST) -m alone

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Warnings are errors: a link that leads nowhere, a page that is in no menu.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv advsweep-results site

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "advsweep needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/installed: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed-test: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch .venv/installed $@

.venv/installed-docs: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch .venv/installed $@
