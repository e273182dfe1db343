# Every target works from a fresh clone: the virtual environment is created first. No extension is built.
#
#   make demo    train a tiny model, evaluate it, segment a video
#   make test    lint, format check, type check and tests
#   make lint    lint, format check and type check;  make format  fixes what can be fixed
#   make docs    documentation as a site in site/, without torch
#   make doctor  environment report
#   make clean   remove the virtual environment, build outputs and caches
#
# Variables (make demo NAME=VALUE):
#   PYTHON       interpreter of the virtual environment, 3.11 or newer
#   TORCH_INDEX  package index for torch; without a GPU, the index of the CPU builds saves gigabytes
#   PIP_ARGS     passed to every `pip install`, for example a package index
#   PYTEST_ARGS  passed to pytest;  DEMO_ARGS  passed to the demo

PYTHON ?= python3
VENV ?= .venv
DOCS_VENV ?= .venv-docs
TORCH_INDEX ?=
PIP_ARGS ?=
PYTEST_ARGS ?=
DEMO_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Byte code is compiled once, in parallel, when all packages are there.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet --no-compile $(PIP_ARGS)
CONSTRAINTS := -c requirements/constraints.txt

# One thread each: two test workers share two cores, and small tensors gain nothing from more.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
TEST_WORKERS ?= 2

.PHONY: demo test lint format docs doctor install clean

demo: $(STAMP)
	$(BIN)/python tools/demo.py $(DEMO_ARGS)

test: lint
	$(TEST_ENV) $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

# Without cache: the classification of imports also depends on other files.
lint: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# In an environment of its own. The variable silences an advertisement for the successor of mkdocs-material.
docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict
	@echo 'site/index.html is written'

$(DOCS_VENV)/.installed: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar off --quiet $(PIP_ARGS) -r $<
	@touch $@

doctor: $(STAMP)
	$(BIN)/python -m axialvs.doctor

install: $(STAMP)

# The order matters: torch first if it comes from another index, the headless OpenCV build last (see
# requirements/opencv.txt). Byte code is compiled here because PYTHONDONTWRITEBYTECODE=1, common in containers, would
# make every process compile its imports. The stamp is written only on success.
$(STAMP): $(filter-out requirements/docs.txt,$(wildcard requirements/*.txt)) setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'axialvs needs Python 3.11 or newer; name one with make PYTHON=...'; exit 1; }
	@echo 'Setting up $(VENV) (a few minutes; most of it is the download of torch)'
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP_INSTALL) --index-url $(TORCH_INDEX) $(shell grep '^torch==' requirements/runtime.txt))
	$(PIP_INSTALL) $(CONSTRAINTS) -r requirements/runtime.txt -r requirements/tests.txt
	$(PIP_INSTALL) --no-deps --force-reinstall -r requirements/opencv.txt
	$(PIP_INSTALL) --no-deps --editable .
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib projects tools || true
	@touch $@

clean:
	rm -rf $(VENV) $(DOCS_VENV) site build dist projects/*.egg-info projects/axialvs/.mim
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find projects tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} +
