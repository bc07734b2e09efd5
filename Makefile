# Everything a person or a machine does with a checkout. Needs Python 3.11 or newer, and make.
#
#   make demo          three daemons on this machine agree while you watch (ONCE=1: ends by itself)
#   make test          formatting, types, layers, all tests, coverage
#   make bench         figures, side by side with installed peers
#   make soak fuzz     the long versions of the tests
#   make release-check   what would be released: builds it twice, installs it from the package index, runs it
#   make audit         known holes in what is installed here (asks for advisories, over the network)
#   make clean         removes what these made

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is there and new enough; `make PYTHON=...` overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
COVERAGE_FLOOR := 85
ONCE ?=
PYTEST_ARGS ?=

.PHONY: help demo test lint types layers tests bench soak fuzz audit release-check clean

help:
	@sed -n 's/^#   //p' Makefile

# ---- the environment: one stamp for running, one for developing

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer was found; install one, or say make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

# ---- what people do

demo: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" gossipnet demo $(if $(filter-out 0,$(ONCE)),--once)

test: lint types layers tests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# Three runs side by side: real daemons wait more than they work, and whole simulated meshes need
# no tracing. What each has printed is shown when all have ended.
SIMULATED := tests/sim/test_swarm.py tests/sim/test_scenarios.py tests/sim/test_teeth.py
PROCESSES := tests/cli tests/e2e tests/faults tests/web
TRACED := $(BIN)/coverage run -m pytest -q $(PYTEST_ARGS)

tests: $(VENV)/.installed-dev
	@rm -f .coverage .coverage.* .tests-*.log
	@$(BIN)/python -m pytest -q $(PYTEST_ARGS) $(SIMULATED) > .tests-simulated.log 2>&1 & simulated=$$!; \
	$(TRACED) $(PROCESSES) > .tests-processes.log 2>&1 & processes=$$!; \
	$(TRACED) $(SIMULATED:%=--ignore=%) $(PROCESSES:%=--ignore=%) tests; rest=$$?; \
	wait $$simulated; simulated=$$?; wait $$processes; processes=$$?; \
	echo "real processes:"; cat .tests-processes.log; \
	echo "simulated meshes:"; cat .tests-simulated.log; rm -f .tests-*.log; \
	test $$rest -eq 0 -a $$processes -eq 0 -a $$simulated -eq 0
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$(COVERAGE_FLOOR) --format=total

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

soak: $(VENV)/.installed-dev
	GOSSIPNET_SOAK=1 $(BIN)/python -m pytest -q --timeout=3600 tests/sim tests/state tests/faults \
		tests/resp/test_compatibility.py

fuzz: $(VENV)/.installed-dev
	GOSSIPNET_FUZZ=1 $(BIN)/python -m pytest -q --timeout=3600 -k 'fuzz or hostile or arbitrary'

# The part of it that needs no network is tests/house/test_package.py. What is left in dist/ is what
# was checked.
release-check: $(VENV)/.installed-dev
	rm -rf dist .release
	export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) && \
		$(BIN)/python -m hatchling build -d dist && \
		mkdir -p .release/again && tar xzf dist/*.tar.gz -C .release --strip-components 1 && \
		cd .release && ../$(BIN)/python -m hatchling build -d again
	cd dist && for one in *; do cmp $$one ../.release/again/$$one || exit 1; done
	$(PYTHON) -m venv .release/wheel && .release/wheel/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	.release/wheel/bin/pip check
	cd /tmp && $(CURDIR)/.release/wheel/bin/gossipnet demo --once
	$(PYTHON) -m venv .release/sdist && .release/sdist/bin/pip install --quiet --disable-pip-version-check "$$(ls dist/*.tar.gz)[all]"
	.release/sdist/bin/pip check
	cd /tmp && $(CURDIR)/.release/sdist/bin/gossipnet web --help > /dev/null && $(CURDIR)/.release/sdist/bin/gossipnet version
	$(BIN)/python deploy/sbom.py .release/sdist/lib/python*/site-packages all > dist/gossipnet.cdx.json
	@rm -rf .release; cd dist && sha256sum *

# In an environment of its own: nothing of it is needed to run or test. What bandit looks for, `make
# lint` finds (ruff's S rules); this asks for published advisories, which takes a network.
audit: $(VENV)/.installed-dev
	test -x .audit/bin/pip-audit || { $(PYTHON) -m venv .audit && .audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	$(BIN)/python -m pip freeze --exclude-editable > .audit/installed.txt
	.audit/bin/pip-audit --no-deps --disable-pip -r .audit/installed.txt

clean:
	rm -rf $(VENV) .audit .release .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
