# `make demo`, `make test`: both make the locked environment first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PEERS := bench/.peers
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The build of torch without CUDA (download.pytorch.org/whl/cpu, Python 3.11, Linux, x86-64), which PyPI does not have:
# the lock allows it beside PyPI's, and where pip's settings name a folder that holds it (find-links), it is taken.
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b

.PHONY: env demo pictures test lint format audit lock torture ablation bench bench-env clean

env: $(VENV)/locked

# Every version and every file's hash is in constraints.txt, those of the build's own tools included (hence no build
# isolation). They come first: only a recent pip takes hashes from constraints.
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

# The pictures of the docs, of what `make demo` has left; needs Chromium and its chromedriver.
pictures: env
	$(BIN)/python -m bench.pictures

# A process for each core (and no more threads than that), as most of the time is spent in starting stages.
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

# Secrets in the files, known weaknesses of the locked versions.
audit: env
	.ci/audit

# Looks up the hashes of the versions in constraints.txt, with the environment that there is: it cannot be made anew
# before.
lock:
	sed -nE 's/^([^ ]+==[^ ]+).*/\1/p' constraints.txt > $(VENV)/versions.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-deps --generate-hashes --no-annotate \
		--no-header --output-file $(VENV)/hashed.txt $(VENV)/versions.txt
	sed 's/^torch==.*/&\n    --hash=sha256:$(TORCH_CPU) \\/' $(VENV)/hashed.txt > constraints.txt

# kill -9 in the midst of every stage, 120 times and more: see docs/reliability.md.
torture: env
	$(BIN)/python -m bench.torture

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
	rm -rf $(VENV) $(PEERS) .demo build dist *.egg-info .package/*.egg-info
