# Two commands do all the set-up: `make quickstart` and `make test`.
PYTHON ?= $(firstword $(shell command -v python3.11 python3 2>/dev/null))
VENV := .venv
BIN := $(VENV)/bin
# `make quickstart TORCH_INDEX=https://download.pytorch.org/whl/cpu` takes torch from another index.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: quickstart test lint format hooks coverage mutants clean

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

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' \
		|| { echo "kepipe needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

# torch goes first: a package that asks for it must not choose its build.
$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about 3 minutes) …"
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) workspace build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
