# Every target works on a fresh machine with Python 3.11 or newer, make and a C++ compiler.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/weightspace

.PHONY: quickstart ssl-demo test test-oldest coverage test-studies test-processes test-long lint docs bench gpu clean

# torch first, by its exact version: a dependency that asked for any torch would bring gigabytes
.venv/installed: setup.py pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test]"
	touch $@

quickstart: .venv/installed
	$(RUN) zoo fit --source digits --train 1200 --val 197 --test 400 --views 3 --recipe dwsnets --set steps=300 --out zoos/digits
	$(RUN) zoo show zoos/digits --out runs/digits.png
	$(RUN) fit -c experiments/quickstart.yaml --overwrite true
	$(RUN) test -c experiments/quickstart.yaml --ckpt_path best
	$(RUN) fit -c experiments/quickstart_mlp.yaml --overwrite true
	$(RUN) test -c experiments/quickstart_mlp.yaml --ckpt_path best
	$(RUN) report runs/quickstart runs/quickstart_mlp
	@echo "decoded networks beside the originals: runs/digits.png"

# after make quickstart, whose zoo it uses
ssl-demo: .venv/installed
	test -d zoos/digits || $(MAKE) quickstart
	$(RUN) fit -c experiments/ssl_pretrain.yaml --overwrite true
	$(RUN) fit -c experiments/ssl_finetune.yaml --overwrite true
	$(RUN) test -c experiments/ssl_finetune.yaml
	$(RUN) fit -c experiments/ssl_scratch.yaml --overwrite true
	$(RUN) test -c experiments/ssl_scratch.yaml
	$(RUN) report runs/ssl_finetune runs/ssl_scratch

test: .venv/installed
	$(BIN)/pytest -q -n 2 --dist worksteal

# the lower bounds of setup.py; torch stays at the tested version, since each other one is gigabytes
.venv-oldest/installed: setup.py constraints.txt .ci/lower_bounds.py
	$(PYTHON) -m venv .venv-oldest
	$(PYTHON) .ci/lower_bounds.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/pip install --quiet -c .venv-oldest/constraints.txt torch
	.venv-oldest/bin/pip install --quiet -c .venv-oldest/constraints.txt -e ".[test]"
	touch $@

# an old release may call what its own dependencies have deprecated since
test-oldest: .venv-oldest/installed
	.venv-oldest/bin/pytest -q -n 2 --dist worksteal -m "not long" -W ignore::DeprecationWarning

# lines that the tests' own processes run; commands in processes that they start do not count
coverage: .venv/installed
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not long" --cov --cov-fail-under=96

test-studies: .venv/installed
	$(BIN)/pytest -q -n 2 --dist worksteal -m "studies and not long" tests

test-processes: .venv/installed
	$(BIN)/pytest -q -n 2 --dist worksteal -m "processes and not long" tests/framework

test-long: .venv/installed
	$(BIN)/pytest -q -m long

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The sources are read, not imported: an environment without torch is enough, and is made in seconds.
.venv-docs/installed: constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet -c constraints.txt mkdocs-material "mkdocstrings[python]" ruff
	touch $@

docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo "the documentation: site/index.html"

bench: .venv/installed
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/fitting.py
	$(BIN)/python benchmarks/recipes.py
	$(BIN)/python benchmarks/optimisers.py
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/zoo.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/alignment.py
	$(BIN)/python benchmarks/aligned_once.py
	$(BIN)/python benchmarks/barrier.py
	$(BIN)/python benchmarks/augmentations.py
	$(BIN)/python benchmarks/backbones.py
	$(BIN)/python benchmarks/compiling.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/scaling_fit.py

# tests and rates on a GPU, as one table in gpu-report.md; DEVICE=cpu tries the same at small size without one
gpu: .venv/installed
	$(BIN)/python benchmarks/gpu.py $(if $(DEVICE),--device $(DEVICE))

clean:
	rm -rf .venv .venv-docs .venv-oldest .coverage build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
