# Every goal works from a fresh clone: it makes the virtual environment first. Nothing is compiled.
#
#   make demo    train a small model, score it, segment a video
#   make test    lint, format check and tests
#   make lint    lint and format check;  make format  writes what they ask for
#   make doctor  what is installed and which parts of it will be used
#   make clean   remove the virtual environment and what builds and tests left
#
# Variables (make demo NAME=VALUE):
#   PYTHON       interpreter for the virtual environment, 3.11 or newer
#   TORCH_INDEX  package index to take torch from; without a GPU, the index of PyTorch's CPU builds saves gigabytes
#   PIP_ARGS     passed to every `pip install`, for example another package index
#   PYTEST_ARGS  passed to pytest;  DEMO_ARGS  passed to the demo

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
PIP_ARGS ?=
PYTEST_ARGS ?=
DEMO_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Modules are compiled when they are first imported; most of torch's never are.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet --no-compile $(PIP_ARGS)
CONSTRAINTS := -c requirements/constraints.txt

# One thread each: two test workers share two cores, and small tensors gain nothing from more.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
TEST_WORKERS ?= 2

.PHONY: demo test lint format doctor install clean

demo: $(STAMP)
	$(BIN)/python tools/demo.py $(DEMO_ARGS)

test: lint
	$(TEST_ENV) $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

# Without its cache: which imports are our own also depends on where other files lie.
lint: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

doctor: $(STAMP)
	$(BIN)/python -m axialvs.doctor

install: $(STAMP)

# The order matters: torch first where another index serves it, and the OpenCV build without a display library last
# (requirements/opencv.txt says why). The stamp is written only when all of it went well.
$(STAMP): $(wildcard requirements/*.txt) setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'axialvs needs Python 3.11 or newer; name one with make PYTHON=...'; exit 1; }
	@echo 'Setting up $(VENV) (a few minutes; most of it is the download of torch)'
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP_INSTALL) --index-url $(TORCH_INDEX) $(shell grep '^torch==' requirements/runtime.txt))
	$(PIP_INSTALL) $(CONSTRAINTS) -r requirements/runtime.txt -r requirements/tests.txt
	$(PIP_INSTALL) --no-deps --force-reinstall -r requirements/opencv.txt
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) build dist projects/*.egg-info projects/axialvs/.mim
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find projects tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} +
