# The verbs of this project. Each one works on a fresh machine with Python 3.10 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo dev test lint types check format clean

help: ## Show the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@# The pip of an older Python looks for the newest packages that agree for many minutes.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

setup: $(READY) ## Make the virtual environment

demo: setup ## Make the sample videos on the local emulator
	$(BIN)/akool-dagster demo

dev: setup ## Open the Dagster UI
	$(BIN)/akool-dagster dev

test: setup ## Run the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup ## Check style and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## Check types
	$(BIN)/pyright

check: setup ## Check that Dagster loads the project in each of the ways
	$(BIN)/dagster definitions validate -w workspace.yaml
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/dg check defs

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the virtual environment and caches, not the data
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
