# `make demo` and `make test` first create the locked environment.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PEERS := bench/.peers
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Hash of the torch wheel without CUDA (download.pytorch.org/whl/cpu, Python 3.11, Linux, x86-64). PyPI lacks this wheel.
# The lock allows it beside PyPI's. pip takes it if a folder of its find-links setting holds it.
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b

.PHONY: env demo pictures test lint format audit lock torture ablation bench bench-env clean

env: $(VENV)/locked

# constraints.txt holds every version and every file's hash, build tools included (hence no build isolation). The build
# tools are installed first, because only a recent pip reads hashes from constraints.
$(VENV)/locked: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	sed -nE '/^(pip|setuptools)==/,/[^\\]$$/p' constraints.txt > $(VENV)/tools.txt
	$(BIN)/pip install --quiet --require-hashes --requirement $(VENV)/tools.txt
	sed -nE '/^torch==/,/[^\\]$$/p' constraints.txt > $(VENV)/torch.txt
	$(BIN)/pip install --quiet --require-hashes --no-index --no-deps --requirement $(VENV)/torch.txt 2> /dev/null || true
	$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["dependencies"], *project["optional-dependencies"]["dev"], sep="\n")' > $(VENV)/wanted.txt
	$(BIN)/pip install --quiet --require-hashes --constraint constraints.txt --no-build-isolation --requirement $(VENV)/wanted.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: env
	$(BIN)/python -m stages.demo

# Screenshots for the docs, from the artifacts of `make demo`. Needs Chromium and its chromedriver.
pictures: env
	$(BIN)/python -m bench.pictures

# One process per core (at most 4), one thread each, because starting stages takes most of the time.
test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	.ci/secrets

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Searches for secrets in the files and for known vulnerabilities of the locked versions.
audit: env
	.ci/audit

# Looks up the hashes of the versions in constraints.txt. Uses the existing environment: a new one needs the hashes.
lock:
	sed -nE 's/^([^ ]+==[^ ]+).*/\1/p' constraints.txt > $(VENV)/versions.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-deps --generate-hashes --no-annotate \
		--no-header --output-file $(VENV)/hashed.txt $(VENV)/versions.txt
	sed 's/^torch==.*/&\n    --hash=sha256:$(TORCH_CPU) \\/' $(VENV)/hashed.txt > constraints.txt

# Kills every stage with kill -9 while it runs, more than 120 kills in all: see docs/reliability.md.
torture: env
	$(BIN)/python -m bench.torture

# Needs the data (`dvc repro ingest`); hours, see bench/ablation/README.md.
ablation: env
	$(BIN)/dvc repro ingest
	cd bench/ablation && ../../$(BIN)/dvc repro

# Runs the comparisons with peers on the artifacts of `dvc repro`; see bench/README.md. With --quick, one takes seconds.
bench: env bench-env
	$(BIN)/python -m bench.peers.decoding
	$(BIN)/python -m bench.peers.training
	$(BIN)/python -m bench.peers.evaluation
	$(PEERS)/bin/python bench/peers/theirs/plot.py bench/results

bench-env: $(PEERS)/locked

# The peers need other package versions than the project, so they have their own environment.
$(PEERS)/locked: bench/peers/requirements.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --requirement bench/peers/requirements.lock
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) .demo build dist *.egg-info .package/*.egg-info
