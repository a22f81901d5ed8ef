# Everything here works on a fresh machine with Python 3.11+ and make: each target first makes .venv when needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# processes that share the tests, one core each; 0 for a debugger. A file's tests stay together, for what they share
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test slow check format bench docs clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

# .ready is touched last, so a broken install is made again
$(READY): pyproject.toml constraints-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "phosphene needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints-dev.txt
	@touch $@

demo: $(READY) ## a page of pictures made on this machine, in out/demo; ARGS="--model squeezenet1_1" for another network
	$(BIN)/phosphene demo $(ARGS)

test: $(READY) ## the tests that need no GPU, in minutes; ARGS="-k name" for some of them
	$(PYTEST) $(ARGS)

slow: $(READY) ## the tests left out of "make test" because they take long
	$(PYTEST) -m slow $(ARGS)

check: $(READY) ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## time the engine against the bare network
	$(BIN)/python benchmarks/render.py $(ARGS)

docs: $(READY) ## write docs/commands.md anew from the code
	$(BIN)/python tools/command_reference.py

clean: ## remove .venv, caches and built files; pictures in out/ stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
