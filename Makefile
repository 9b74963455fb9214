# `make demo`, `make test`: both make the locked environment first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PEERS := bench/.peers
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: env demo test lint format ablation bench bench-env clean

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

# Needs the data (`dvc repro ingest`); hours, see bench/ablation/README.md.
ablation: env
	$(BIN)/dvc repro ingest
	cd bench/ablation && ../../$(BIN)/dvc repro

# Comparisons, one command each, on the artifacts of `dvc repro`; see bench/README.md. --quick runs one in seconds.
bench: env bench-env
	$(BIN)/python -m bench.peers.decoding
	$(BIN)/python -m bench.peers.training
	$(BIN)/python -m bench.peers.evaluation
	$(PEERS)/bin/python bench/peers/theirs/plot.py bench/results

bench-env: $(PEERS)/locked

# The peers need other versions than ours, so they have an environment of their own.
$(PEERS)/locked: bench/peers/requirements.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --requirement bench/peers/requirements.lock
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) .demo build dist *.egg-info
