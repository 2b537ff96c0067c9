# Every task of this repository. `make` alone lists them.
# uv is used where it is installed; without it, or with `make UV= ...`, python -m venv and pip.

SHELL := /bin/sh
# Tests start hundreds of processes from this folder, each of which would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE
UV ?= $(shell command -v uv 2>/dev/null)

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
MINILM := $(PY) -m minilm
READY := .venv/.minilm-ready
ORACLES_READY := .venv/.minilm-oracles-ready

QUICK := not oracle and not browser and not grading and not slow and not nvrtc and not gpu
# More for pytest: make test ARGS="-k rope -x"
ARGS ?=
# Test files that run side by side, and lessons; 0: tests one after another, as a debugger needs it
JOBS ?= 2
# Which lesson `make lab` opens: make lab NN=01
NN ?=

.PHONY: help env lab test oracles kernels browser slow gpu lint format build notebooks check-notebooks \
	run-lessons grade-all decks check-claims lock

help:  ## list these tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A Python that the package supports: the active one first. Printed as a path.
FIND_PYTHON = for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14); print(sys.executable)' \
	2>/dev/null && break; done

env: $(READY)  ## make .venv with everything the course and its tests need

# Done once: again only when what must be installed has changed. A .venv made by an earlier, broken
# attempt is completed, one with a Python out of range is refused.
$(READY): pyproject.toml requirements.lock
	@if [ -e $(PY) ] && ! $(PY) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14)' 2>/dev/null; then \
		echo "The Python in .venv does not run or is not 3.11, 3.12 or 3.13: delete .venv and try again." >&2; exit 1; fi
	@if [ ! -e $(PY) ]; then \
		python=$$($(FIND_PYTHON)); \
		if [ -z "$$python" ] && [ -n "$(UV)" ]; then python='>=3.11,<3.14'; fi; \
		if [ -z "$$python" ]; then echo "minilm needs Python 3.11, 3.12 or 3.13, and none is on the PATH." >&2; exit 1; fi; \
		echo "Making .venv with Python $$python"; \
		if [ -n "$(UV)" ]; then "$(UV)" venv --quiet --allow-existing --no-python-downloads --seed --python "$$python" .venv; \
		else "$$python" -m venv .venv || { echo "python -m venv failed; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }; fi; fi
	@if [ -n "$(UV)" ]; then echo "Installing with uv"; \
		"$(UV)" pip install --python $(PY) -r requirements.lock -e '.[dev]'; \
	else echo "Installing with pip: a minute or two, depending on the network"; \
		$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock -e '.[dev]'; fi
	@touch $@

lab: env  ## open the lessons in JupyterLab (make lab NN=01: that lesson)
	$(MINILM) lab $(NN)

# In the order of their names: by the number of their tests the longest file would come last, alone.
test: env  ## run the tests: no GPU, no browser, no torch
	$(PY) -m pytest -m "$(QUICK)" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

# pip and never uv here: pip takes a CPU build of torch from where the machine keeps one, uv would
# take the CUDA build and its gigabytes from the registry. Not compiled: the tests import a tenth of it.
$(ORACLES_READY): $(READY)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile -c requirements.lock \
		-e '.[oracles]'
	@touch $@

oracles: $(ORACLES_READY)  ## install torch, transformers, tokenizers, tiktoken, PEFT; compare with them
	$(PY) -m pytest -m oracle -n $(JOBS) --dist loadfile $(ARGS)

kernels: env  ## install NVIDIA's compilers; compile every CUDA kernel for real GPUs (no GPU needed)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile -c requirements.lock \
		-e '.[gpu-proof]'
	$(PY) -m pytest -m nvrtc $(ARGS)

browser: env  ## run the tests that need Chromium, on executed/ where that is there
	$(if $(wildcard executed),MINILM_EXECUTED=executed) $(PY) -m pytest -m browser $(ARGS)

slow: env  ## run the tests that take minutes
	$(PY) -m pytest -m "slow and not oracle and not nvrtc and not gpu" $(ARGS)

gpu: env  ## run the tests that need a CUDA device
	$(PY) -m pytest -m gpu $(ARGS)

lint: env  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: env  ## ruff: mend what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lock:  ## pin the newest versions that fit pyproject.toml (needs uv)
	@[ -n "$(UV)" ] || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	"$(UV)" pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--fork-strategy fewest --no-annotate --upgrade --quiet \
		--custom-compile-command "make lock" -o requirements.lock

build: env  ## notebooks from their sources
	$(MINILM) build

check-notebooks: env  ## fail where a notebook and its source are out of step
	$(MINILM) build --check

notebooks: build  ## build every lesson, run it, store its outputs and verdicts
	$(MINILM) run --save

# Lessons are executed once: what they gave, in executed/, serves the decks and the browser's tests.
# A lesson takes 75 s or less on two cores to itself; slower machines, and two at a time, get three
# times that.
run-lessons: env  ## run every lesson from top to bottom; keeps what it shows in executed/
	$(MINILM) run --quiet --keep executed --most 225 --jobs $(or $(filter-out 0,$(JOBS)),1)

grade-all: env  ## grade every solution (full marks) and every empty exercise (0)
	$(PY) -m pytest -m grading $(ARGS)

decks: env  ## a slide deck of every lesson, in decks/; of executed/ where that is there
	$(MINILM) slides $(if $(wildcard executed),--lessons executed)

check-claims: env  ## fail where lessons, stored verdicts and CLAIMS.md disagree
	$(MINILM) claims --write --check
