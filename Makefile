# The two commands to start with: `make demo` and `make test`. Everything is installed into .venv, nothing elsewhere.

VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check bench fetch clients clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[cpu,serve,dev]"
	@touch $@

demo: $(READY)  ## find the face in the sample picture: installs, fetches a model, writes demo/
	@mkdir -p demo
	$(BIN)/vidette models get faces
	$(BIN)/vidette run sample: --sink demo/faces.jsonl --sink demo/annotated.mp4 \
	  --report demo/report.html --report demo/report.json
	@echo
	@echo "Look at:  demo/annotated.mp4   the video with what was found drawn in"
	@echo "          demo/report.html     what was found and what it cost, one page for a browser"
	@echo "          demo/faces.jsonl     one line per frame"

test: $(READY)  ## the whole test suite
	$(BIN)/pytest

check: $(READY)  ## lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## all benchmarks but that for a GPU (an hour); results go to benchmarks/results
	@for script in $$(ls benchmarks/[a-z]*.py | grep -v gpu); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

fetch: $(READY)  ## real models and footage for the tests marked `fetched`
	@$(BIN)/python tests/fetch.py

clients: $(READY)  ## other people's clients, in environments of their own, for the tests marked `clients`
	@$(BIN)/python tests/clients.py

clean:  ## remove .venv and everything generated
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find pipeline sinks tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
