# Everything a newcomer, a developer and CI need; `make help` explains.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CODE := harness plugins datasets reports tests docs

.DEFAULT_GOAL := help
.PHONY: help run test golden browser check format bench targets power statistics gallery docs site wheel-test clean

help:  ## Show this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed  ## Install, then run every dataset with every model and print tables.
	$(BIN)/harness run --all

test: $(VENV)/installed-dev  ## Install, then run the tests.
	# Hundreds of commands start in the tests; without this, each compiles the modules anew where
	# PYTHONDONTWRITEBYTECODE is set. A third worker uses what two leave idle while they wait.
	$(BIN)/python -m compileall -q harness plugins datasets reports
	$(BIN)/python -m pytest -q -n 3

golden: $(VENV)/installed-dev  ## Keep what the commands print now; tests/golden/README.md tells more.
	$(BIN)/python -m pytest -q -n auto tests/golden --update-golden

browser:  ## Install what the tests of the page need: chromium (Debian), axe-core and TypeScript (npm).
	tests/browser/install.sh

check: $(VENV)/installed-dev  ## Lint, format, types, layers, doctests, and the help pasted into the docs; build the site.
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q harness plugins datasets reports
	PATH="$(abspath $(BIN)):$$PATH" COLUMNS=80 $(BIN)/cog --check README.md docs/*.md docs/*/*.md
	$(MAKE) site

format: $(VENV)/installed-dev  ## Format the code and mend what ruff can mend.
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

docs: $(VENV)/installed-dev  ## Paste into the docs what the commands print, and run the notebook.
	$(BIN)/python tests/walkthrough.py docs/tutorials/*.md
	$(BIN)/python tests/course.py
	PATH="$(abspath $(BIN)):$$PATH" COLUMNS=80 $(BIN)/cog -r README.md docs/*.md docs/*/*.md

site: $(VENV)/installed-dev  ## Build the documentation site into docs/_build/html.
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html

bench: $(VENV)/installed-dev  ## Time kernels, training, prediction and coordinator; save, and compare.
	$(BIN)/python -m pytest -q harness/benchmarks tests/benchmarks --benchmark-enable \
		--benchmark-autosave $$(test -d .benchmarks && echo --benchmark-compare)

targets: $(VENV)/installed-dev  ## Print each figure of docs/performance.md, ours beside theirs.
	$(BIN)/python tests/benchmarks/targets.py
	$(BIN)/python tests/benchmarks/own_cost.py
	$(BIN)/python tests/benchmarks/preparation.py

power: $(VENV)/installed-dev  ## Measure how often regressions are found; goes on where it ended.
	$(BIN)/python tests/benchmarks/power

statistics: $(VENV)/installed-dev  ## Measure how often intervals and marks are right; goes on where it ended.
	$(BIN)/python tests/benchmarks/statistics

gallery: $(VENV)/installed-dev  ## Run what docs/gallery.md shows, and draw it.
	PATH="$(abspath $(BIN)):$$PATH" docs/gallery/make.sh

wheel-test: $(VENV)/installed-dev  ## Build the wheel; install and run it away from the tree.
	PYTHON=$(PYTHON) BUILD=$(abspath $(BIN))/python tests/wheel_test.sh

clean:  ## Remove the virtual environment and what tools left behind.
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(VENV)/installed $@
