# Two commands for a newcomer: `make demo` and `make test`.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
WORKSPACE ?= workspace
MINUTES ?= 30
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
export OPENBLAS_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE
export MLFLOW_DISABLE_TELEMETRY := true

TOOLS := build/tools/bin
SBOM := build/sbom.cdx.json

.PHONY: help demo test faults soak lint types imports bench bench-scores bench-offers constraints lock sbom audit clean

help:                      ## say what there is
	@awk -F ':[^#]*## *' '/^[a-z%-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo        ## import the sample, train, score, serve on 127.0.0.1:8000
	@$(BIN)/barista --workspace $(WORKSPACE) demo

test: lint types imports   ## lint, types, import rules, tests, documentation checks
	$(BIN)/python -m pytest

lint: $(VENV)/.dev         ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev        ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev      ## who may import whom
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev        ## rewrite docs/figures/*.json and the tables rendered from them
	BENCH_WORKSPACE=$(WORKSPACE) $(BIN)/python -m tests.benchmarks $(BENCH)

bench-scores: $(VENV)/.dev ## churn and value beside the classics: DATA=folder [FINAL=--final] [ONLY="--only a b"], rewrites docs/quality.md
	$(BIN)/python -m tests.benchmarks.bench_scores --data $(DATA) $(FINAL) $(ONLY)
	$(BIN)/python -m tests.docs.generating

bench-offers: $(VENV)/.dev ## offers beside the published field: DATA=folder [FINAL=--final] [ONLY="--only window sample"], rewrites docs/quality-offers.md
	$(BIN)/python -m tests.benchmarks.bench_offers --data $(DATA) $(FINAL) $(ONLY)
	$(BIN)/python -m tests.docs.generating

bench-%: $(VENV)/.dev      ## one benchmark only
	BENCH_WORKSPACE=$(WORKSPACE) $(BIN)/python -m tests.benchmarks $*

faults: $(VENV)/.dev       ## break the service in every way it must bear: long forms of tests, not part of `make test`
	SOAK_WORKSPACE=$(WORKSPACE) $(BIN)/python -m pytest -o python_files='fault_*.py' tests/faults $(FAULTS)

soak: $(VENV)/.dev         ## half an hour at 70% of the peak of the moment (MINUTES=30): errors, p99, memory; wants a machine of its own
	SOAK_WORKSPACE=$(WORKSPACE) SOAK_MINUTES=$(MINUTES) $(BIN)/python -m tests.faults.soak

constraints:               ## pin what a fresh environment resolves to now
	rm -rf build/pins && $(PYTHON) -m venv build/pins
	build/pins/bin/python -m pip install -qq --disable-pip-version-check '.[dev]'
	(sed -n '1,2p' constraints.txt; build/pins/bin/python -m pip freeze --exclude barista --exclude pip --exclude setuptools) > build/constraints.txt
	mv build/constraints.txt constraints.txt

lock: $(TOOLS)/uv          ## pin what the image installs, with hashes, to the versions of constraints.txt
	$(TOOLS)/uv pip compile pyproject.toml deploy/build.in --extra oauth --extra otel -c constraints.txt --generate-hashes \
	  --python-version 3.11 --no-annotate --custom-compile-command "make lock" -q -o deploy/requirements.lock

sbom: $(TOOLS)/uv          ## list what the image installs: build/sbom.cdx.json (CycloneDX)
	@mkdir -p $(dir $(SBOM))
	$(TOOLS)/cyclonedx-py requirements deploy/requirements.lock --pyproject pyproject.toml --output-reproducible \
	  --of JSON -o $(SBOM)

audit: $(TOOLS)/uv         ## known vulnerabilities of what the image installs; says how many packages nobody checked
	$(PYTHON) deploy/audit.py deploy/requirements.lock -- $(TOOLS)/pip-audit

$(TOOLS)/uv: deploy/tools.txt
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install -qq --disable-pip-version-check -r deploy/tools.txt
	touch $@

clean:                     ## remove what was built, not the workspace
	rm -rf build dist *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Barista needs Python 3.11 or newer, found " + sys.version.split()[0] + ". Say which: make PYTHON=python3.12 …")'
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Barista and the sample into $(VENV) (about a minute, silent)"
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Barista with its tools into $(VENV) (about a minute, silent)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo
