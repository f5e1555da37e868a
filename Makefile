# Two commands do all the set-up: `make quickstart` and `make test`.
PYTHON ?= $(firstword $(shell command -v python3.11 python3 2>/dev/null))
VENV := .venv
BIN := $(VENV)/bin
# `make quickstart TORCH_INDEX=https://download.pytorch.org/whl/cpu` takes torch from another index.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
# Only the versions that these files list, and only files of the digests beside them.
LOCKED := $(PIP) --require-hashes --no-deps --requirement

.PHONY: quickstart test lint format hooks coverage mutants gpu-check faults lock sbom clean

quickstart: $(VENV)/installed
	$(BIN)/kepipe run pipelines/quickstart.yaml

test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadgroup

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: $(VENV)/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The hook finds its commands in .venv, also where that is not activated.
hooks: $(VENV)/installed-test
	$(BIN)/pre-commit install
	@hook="$$(git rev-parse --git-path hooks/pre-commit)" \
		&& sed -i.bak 's|^INSTALL_PYTHON=|PATH="$(CURDIR)/$(BIN):$$PATH" &|' "$$hook" && rm "$$hook.bak"

coverage: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadgroup --cov --cov-report term-missing:skip-covered

# Half an hour of small changes to the core, each of which some test should notice.
mutants: $(VENV)/installed-test
	$(BIN)/python -m tests.benchmarks.mutants --minutes 30

# What a GPU has to prove, in six minutes: a table, gpu-check.json, gpu-check.png.
gpu-check: $(VENV)/installed-test
	$(BIN)/python -m tests.gpu

# kill -9 of scheduler, runs, deliveries, tracking and artifact server, and the other faults: half an hour. As root, with faketime
# installed, none is left out.
faults: $(VENV)/installed-test
	$(BIN)/python -m tests.faults

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' \
		|| { echo "kepipe needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt constraints-torch.txt
	@echo "Installing into $(VENV) (about 3 minutes) …"
	$(LOCKED) constraints.txt
	$(PIP) --constraint constraints-torch.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed constraints-test.txt
	$(LOCKED) constraints-test.txt
	@touch $@

# New versions within the ranges of pyproject.toml: `make lock UPGRADE=--upgrade`.
lock: $(VENV)/installed-test
	$(BIN)/python -m tests.support.lock $(UPGRADE)

# What is installed, as CycloneDX 1.6 has it: kepipe.cdx.json.
sbom: $(VENV)/installed-test
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
		--output-file kepipe.cdx.json $(BIN)/python

clean:
	rm -rf $(VENV) workspace build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
