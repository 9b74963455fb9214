# `make demo`, `make test`: both make the locked environment first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: env demo test lint format torture ablation clean

env: $(VENV)/locked

# Every version is in constraints.txt, the build's own tools included (hence no build isolation).
$(VENV)/locked: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt pip setuptools
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

demo: env
	$(BIN)/python -m stages.demo

test: env
	$(BIN)/python -m pytest

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# kill -9 in the midst of every stage, 120 times and more: see docs/reliability.md.
torture: env
	$(BIN)/python -m bench.torture

# Needs the data (`dvc repro ingest`); hours, see bench/ablation/README.md.
ablation: env
	$(BIN)/dvc repro ingest
	cd bench/ablation && ../../$(BIN)/dvc repro

clean:
	rm -rf $(VENV) .demo build dist *.egg-info
