# `make demo` and `make test` need Python 3.11+, make and a network to the package index; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint proofs bench lock clean

demo: $(VENV)/ready  ## the main job on this machine: Looker to Pigment, no account needed
	$(BIN)/bridge demo

test: $(VENV)/ready  ## the whole suite
	$(BIN)/pytest -n auto

lint: $(VENV)/ready  ## format, style and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

proofs: $(VENV)/ready  ## the slow proofs
	$(BIN)/pytest -m slow

bench: $(VENV)/ready  ## speed and memory, side by side
	$(BIN)/python -m tests.bench

# --no-deps: the pinned file is complete, and leaves out what the flights' package needs only to draw data frames.
$(VENV)/ready: tests/requirements.txt pyproject.toml
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): once, about a minute"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/ready  ## pin what pyproject.toml asks for; UPGRADE=--upgrade for the newest
	$(COMPILE) $(UPGRADE) -o functions/requirements.txt
	$(COMPILE) $(UPGRADE) -o tests/requirements.txt --all-extras -c functions/requirements.txt \
	    --no-emit-package pandas --no-emit-package numpy --no-emit-package python-dateutil --no-emit-package pytz

clean:
	rm -rf $(VENV) .demo .bridge
