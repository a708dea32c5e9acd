# Set-up, tests and the book, from a machine with Python 3.11 to 3.13 and nothing else.
#
#   make book    install what is missing into .venv, make the runs on synthetic faces, build the book
#   make pdf     the book, and all of it as _build/book.pdf
#   make test    the same set-up, then ruff and pytest

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help book pdf runs campaign test processors lowest lab lint format lock clean

RANGE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# Found once, before .venv comes first on the path; a name on the path may be a shim without a Python behind it.
PYTHON := $(or $(PYTHON),$(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	$$p -c '$(RANGE)' 2>/dev/null && command -v $$p && break; done))
CORES ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
# No lock of its own: it outlives a killed snakemake, and `fer run` already keeps two runs apart.
# Errors of the Snakefile itself are told: --quiet all would hide them.
SNAKEMAKE := snakemake --quiet host reason rules progress --cores $(CORES) --rerun-incomplete --keep-going --nolock
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Threads that spin for long while they wait are many times slower beside other work (as `fer` has it).
export GOMP_SPINCOUNT ?= 1000
# Images for containers often tell Python to keep no compiled modules: each of some hundred processes would then
# compile torch, scipy and pandas again.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make book    set up .venv, run the papers on the embedded synthetic faces, build _build/html"
	@echo "make pdf     the same, and print it to _build/book.pdf (with Chromium or Chrome)"
	@echo "make campaign    the long runs of campaign.yaml on real data, resumed where they stopped"
	@echo "make runs    only the runs; choose them with ARGS='--config datasets=fer2013 budgets=paper'"
	@echo "make test    the book, then check the sources and run the tests (ARGS go to pytest)"
	@echo "make processors    the arithmetic's tests and one smoke as on processors with fewer instructions"
	@echo "make lowest  the tests that need neither book nor run, on the oldest packages that pyproject.toml admits"
	@echo "make lab     set up .venv and open JupyterLab on copies of the notebooks in _lab (ARGS go to it)"
	@echo "make lint    ruff check and ruff format --check;  make format mends both"
	@echo "make lock    pin the newest versions that pyproject.toml admits in requirements.lock"
	@echo "make clean   remove the built book and unfinished work (evidence, searches and .venv stay)"
	@echo "Variables: PYTHON (3.11 to 3.13; found: $(or $(PYTHON),none)), CORES (default: all, $(CORES)), ARGS"

# A stamp, so that a second call costs nothing; an environment cut off half made has no pip. uv installs in seconds
# what pip takes minutes for.
$(INSTALLED): requirements.lock pyproject.toml
	@if ! $(BIN)/python -c 'import pip; $(RANGE)' 2>/dev/null; then \
		if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(RANGE)' 2>/dev/null; then \
			echo "Python 3.11, 3.12 or 3.13 is needed and was not found; install one, or name it:" \
				"make PYTHON=/path/to/python3.12" >&2; exit 2; fi; \
		$(PYTHON) -m venv --clear $(VENV) || uv venv --seed --clear --python $(PYTHON) $(VENV) || { \
			echo "$(PYTHON) has no working venv module (on Debian: apt install python3-venv)." >&2; exit 2; }; fi
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	uv pip install --quiet --python $(BIN)/python -r requirements.lock
	uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

book: $(INSTALLED)
	$(SNAKEMAKE) $(if $(filter test,$(MAKECMDGOALS)),,$(ARGS))
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

pdf: book
	python book/pdf.py

runs: $(INSTALLED)
	$(SNAKEMAKE) runs $(ARGS)

campaign: $(INSTALLED)
	$(SNAKEMAKE) campaign $(ARGS)

# The tests open the built book in a browser. What shares something slow to make stays in one process (conftest.py).
test: lint book
	python -m pytest -n $(CORES) --dist loadgroup --no-loadscope-reorder $(ARGS)

# Other processors, played by this one: PyTorch without AVX-512 and without AVX2, oneDNN without AVX-512.
ISA := ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
THREADS := 1 2
ARITHMETIC := tests/test_training.py tests/test_precision.py tests/test_learning.py tests/test_features.py \
	tests/test_hog.py tests/test_geometry.py tests/test_normalisation.py tests/test_triplets.py \
	$(wildcard tests/test_models_*.py tests/test_faces*.py)
processors: $(INSTALLED)
	@for isa in $(ISA); do for threads in $(THREADS); do \
		echo "== $$isa, threads: $$threads"; \
		env $$isa OMP_NUM_THREADS=$$threads python -m pytest -q $(ARITHMETIC) && \
		env $$isa fer run cspp synthetic --threads $$threads --results "_build/processors/$$isa-$$threads" || exit 1; \
	done; done

# Older packages warn of other things: that is no failure here. test_environment.py is about the newest ones.
LOWEST := _build/lowest
lowest: $(INSTALLED)
	uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -r pyproject.toml --all-extras
	uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	$(LOWEST)/bin/python -m pytest -q -W default -p no:cacheprovider $(or $(ARGS),$(filter-out %/test_environment.py, \
		$(shell grep -L 'smoke_of\|playwright\|BOOK\|pages' tests/test_*.py)))

lint: $(INSTALLED)
	ruff check .
	ruff format --check .

format: $(INSTALLED)
	ruff check --fix .
	ruff format .

# On copies, which git does not see and which JupyterLab may save as it likes; those that are there stay.
lab: $(INSTALLED)
	@mkdir -p _lab; for notebook in notebooks/*.ipynb; do copy=_lab/$${notebook##*/}; \
		test -e $$copy || cp -p $$notebook $$copy; \
		test $$notebook -nt $$copy && echo "$$copy is older than $$notebook: remove it to get the new one"; done; true
	jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/_lab/explore.ipynb $(ARGS)

lock: $(INSTALLED)
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-header \
		--no-emit-index-url --no-annotate pyproject.toml -o requirements.lock

clean:
	find results/.work -mindepth 1 -maxdepth 1 ! -name search -exec rm -rf {} + 2>/dev/null || true
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
