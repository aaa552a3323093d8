# make demo   sets everything up and runs the main job: a small sweep of the real example, with its results
# make test   sets everything up and passes the tests
# make check  while you work: lint, types, and the tests that need no Slurm, browser, AllenNLP or long wait
# make bench  the benchmarks, side by side in one run
# make docs  the documentation as a site, build/docs/index.html; warnings are errors
# make soak   faults at random on a real Slurm, for half an hour: tasks, nodes and the controller die, sbatch fails
#
# PYTHON names the Python (3.11 or newer) that .venv is made with. Both targets work on a fresh machine, each by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CORES := $(shell nproc)
# Workers of `make test`: more than cores, since tests on Slurm and of early stopping mostly wait.
WORKERS ?= $(shell echo $$(($(CORES) + 4)))
# Of make soak: how long, and which faults.
MINUTES ?= 30
SEED ?=
# More words for pytest, for example: make test OPTIONS='-k requeue --maxfail=1'
OPTIONS ?=
# Compiled tests and modules are kept, whatever the shell says: every worker reads them again. Where memory has room for it, what the
# tests write is there: they wait for no disk, which took a third of the time of a slow one.
IN_MEMORY := $(shell [ "$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null && echo PYTEST_DEBUG_TEMPROOT=/dev/shm)
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(IN_MEMORY) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest

.PHONY: demo test check suite quick bench docs soak lint types clean

demo: $(VENV)/.demo-ready
	@echo "--- generate: one directory per trial, each with its configuration and a copy of the source"
	$(BIN)/python hyper.py config/demo.toml rnn_model.jsonnet demo --keep-finished
	@echo "--- run them here (a minute or two)"
	PATH="$(CURDIR)/$(BIN):$$PATH" bash demo-jobs.sh --here
	@echo "--- what came out"
	$(BIN)/resweep results demo
	@echo "--- the best once more, from its own directory alone, into a fresh one:"
	@echo "    RESWEEP_PYTHON=$(BIN)/python bash config/generated/demo/$$($(BIN)/resweep results demo | awk 'NR == 2 {print $$2}')/rerun.sh"

test: $(VENV)/.test-ready lint
	@bash tests/announce.sh
	@$(MAKE) --no-print-directory -j 2 types suite

# The first failure ends it, and those of the last time come first.
check: $(VENV)/.test-ready lint
	@$(MAKE) --no-print-directory -j 2 types quick

suite: $(VENV)/.test-ready
	$(PYTEST) -n $(WORKERS) $(OPTIONS)

quick: $(VENV)/.test-ready
	$(PYTEST) -n $(CORES) -m "not (slurm or browser or allennlp or slow)" -q --failed-first -x $(OPTIONS)

lint: $(VENV)/.test-ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

types: $(VENV)/.test-ready
	$(BIN)/mypy

bench: $(VENV)/.test-ready
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/generate.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/start_up.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/expand.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/run.py
	if [ "$$(id -u)" = 0 ] && command -v slurmctld sbatch >/dev/null; then PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/submit.py; \
	else echo "bench/submit.py needs root and Slurm, and was left out"; fi
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/verify.py 2000
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/archive.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/witness.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/results.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/figures.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/analysis.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/export.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/search.py
	if command -v chromedriver >/dev/null; then PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/report.py; \
	else echo "bench/report.py needs Chromium with its driver, and was left out"; fi

# In an environment of its own: what builds sites wants other versions of what AllenNLP wants.
build/docs-venv/.ready: pyproject.toml
	$(PYTHON) -m venv build/docs-venv
	build/docs-venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

docs: build/docs-venv/.ready
	build/docs-venv/bin/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

soak: $(VENV)/.test-ready
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/slurm/soak.py $(MINUTES) $(SEED)

# The example's packages first, exactly pinned and without their declared dependencies (requirements.lock says why); then
# the tool, which finds most of its own there.
$(VENV)/.demo-ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; name another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installs AllenNLP and what it needs into $(VENV): a minute or two, 1.7 GB"
	$(PIP) --no-deps -r requirements.lock
	$(PIP) --editable .
	@touch $@

$(VENV)/.test-ready: $(VENV)/.demo-ready
	$(PIP) --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist
