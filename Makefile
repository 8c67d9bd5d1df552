# Two commands for a newcomer: `make demo` and `make test`.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
WORKSPACE ?= workspace
export OPENBLAS_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: demo test lint types imports install-demo install-dev bench clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo

install-demo: $(VENV)/.demo
install-dev: $(VENV)/.dev

demo: $(VENV)/.demo        ## import the sample, train, score, serve on 127.0.0.1:8000
	$(BIN)/barista --workspace $(WORKSPACE) demo

test: lint types imports   ## lint, types, import rules, tests, documentation checks
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev        ## rewrite docs/figures/*.json and the tables rendered from them
	$(BIN)/python -m tests.benchmarks $(BENCH)

clean:
	rm -rf $(WORKSPACE) build dist *.egg-info
