# sanicish: `make demo` runs it, `make test` tests it; both set up what they need.

PYTHON ?= python3
VENV   ?= .venv
LOWEST ?= .venv-lowest
PORT   ?= 8000
HOST   ?= 127.0.0.1
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check
APT     = $(shell [ "$$(id -u)" = 0 ] && echo "env DEBIAN_FRONTEND=noninteractive apt-get" || echo "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get")
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-lowest test-eager check lint types format cov fuzz simulate bench bench-smoke bench-micro bench-limits soak build docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The environment. A `python` without `pip` is what an interrupted attempt leaves behind, so pip is what is looked for.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "sanicish needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo ">> this Python has no venv module; installing the package python3-venv"; \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends python3-venv >/dev/null; } \
	  || { echo "!! please install it yourself: apt-get install python3-venv"; exit 2; }; }
	@echo ">> creating $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)

SETUP = setup.cfg setup.py pyproject.toml

$(VENV)/.demo: $(SETUP) | $(BIN)/pip
	@echo ">> installing sanicish and what the demo needs"
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(SETUP) | $(BIN)/pip
	@echo ">> installing sanicish and what its tests need"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo

# A browser for the tests of the demo's page; without one they are skipped, and say so.
$(VENV)/.browser: | $(BIN)/pip
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || { \
	  echo ">> installing a browser for the tests of the demo's page"; \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends chromium-headless-shell libatomic1; } >/dev/null 2>&1 \
	  || echo "!! no browser could be installed; its tests are skipped (apt-get install chromium-headless-shell libatomic1)"; }
	@touch $@

# The proxies of deploy/, for the tests of its recipes; without one its tests are skipped, and say so. Debian starts some of
# them when they are installed, so this is for machines without systemd, as CI has; elsewhere install those you want.
$(VENV)/.proxies: | $(BIN)/pip
	@for proxy in haproxy:haproxy nginx:nginx-light apache2:apache2-bin varnishd:varnish squid:squid caddy:caddy; do \
	  PATH="$$PATH:/usr/sbin" command -v $${proxy%:*} >/dev/null || missing="$$missing $${proxy#*:}"; \
	done; \
	[ -z "$$missing" ] || if [ -d /run/systemd/system ]; then \
	  echo "!! tests of these proxies are skipped:$$missing (apt-get install$$missing)"; \
	else \
	  echo ">> installing proxies for the tests of deploy/"; $(APT) update -qq >/dev/null 2>&1; \
	  for package in $$missing; do \
	    $(APT) install -y -qq --no-install-recommends $$package >/dev/null 2>&1 \
	    || echo "!! $$package could not be installed; its tests are skipped (apt-get install $$package)"; \
	  done; \
	fi
	@touch $@

# An older PostgreSQL and a pooler for the tests of databases that are far away; without them they are skipped, and say so.
$(VENV)/.databases: | $(BIN)/pip
	@{ ls /usr/lib/postgresql/*/bin/postgres && PATH="$$PATH:/usr/sbin" command -v pgbouncer; } >/dev/null 2>&1 || { \
	  echo ">> installing PostgreSQL and pgbouncer for the tests of databases that are far away"; \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends postgresql pgbouncer; } >/dev/null 2>&1 \
	  || echo "!! PostgreSQL or pgbouncer could not be installed; their tests are skipped (apt-get install postgresql pgbouncer)"; }
	@touch $@

$(VENV)/.bench: $(SETUP) | $(BIN)/pip
	@echo ">> installing sanicish and what its benchmarks need"
	@$(PIP) -e '.[bench]'
	@touch $@

$(VENV)/.docs: $(SETUP) | $(BIN)/pip
	@echo ">> installing sanicish and what its pages need"
	@$(PIP) -e '.[docs]'
	@touch $@

demo: $(VENV)/.demo ## serve the demo on http://HOST:PORT, with a PostgreSQL of its own
	@$(BIN)/python -m examples.demo --host $(HOST) --port $(PORT) $(ARGS)

test: $(VENV)/.dev $(VENV)/.browser $(VENV)/.proxies $(VENV)/.databases ## run all tests
	@$(BIN)/python -m pytest -rs $(ARGS)

test-quick: $(VENV)/.dev ## run the fast tests
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

# The lowest versions that setup.cfg allows, in an environment of their own.
$(LOWEST)/.dev: $(SETUP) tests/lowest.py
	@echo ">> installing the lowest versions that setup.cfg allows"
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(PYTHON) tests/lowest.py > $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LOWEST)/lowest.txt -e '.[test]'
	@touch $@

test-lowest: $(LOWEST)/.dev ## run the fast tests with the lowest versions of all requirements
	@$(LOWEST)/bin/python -m pytest -m "not slow" $(ARGS)

# On the first Python that has the factory: PYTHON, or a newer one that is here.
test-eager: ## run the fast tests with asyncio.eager_task_factory, on Python 3.12 or newer
	@for python in $(PYTHON) python3.14 python3.13 python3.12 "$$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    exec $(MAKE) --no-print-directory VENV=.venv-newest PYTHON="$$python" test-quick ARGS="--eager-tasks $(ARGS)"; \
	  fi; \
	done; echo ">> no Python 3.12 or newer is here; the tests with eager tasks are skipped"

check: lint types test ## what to run before a commit

lint: $(VENV)/.dev ## style, and the contracts of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --config setup.cfg

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

cov: $(VENV)/.dev ## run all tests, show what they do not reach, and fail below the floor of a package
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage report --show-missing --skip-covered
	@$(BIN)/python -m tests.coverage_floors

fuzz: $(VENV)/.dev ## throw bytes at the wire for a minute; longer: make fuzz ARGS='--seconds 600'
	@$(BIN)/python -m tests.fuzz $(ARGS)

# Replays one world, step by step, with SEED=.
simulate: $(VENV)/.dev ## ten minutes of simulated worlds; less: make simulate ARGS='--seconds 60'; one again: make simulate SEED=7
	@$(BIN)/python -m tests.simulation $(if $(SEED),--replay $(SEED)) $(ARGS)

bench: $(VENV)/.bench ## measure against other servers, half an hour; some: make bench ARGS='--only plain,json'
	@$(BIN)/python -m benchmarks $(ARGS)

bench-smoke: $(VENV)/.bench ## run every benchmark once and small, to see that all answers are right, and plot it
	@$(BIN)/python -m benchmarks --smoke --results .bench/smoke $(ARGS)
	@$(BIN)/python -m benchmarks plot --to .bench/smoke "$$(ls -t .bench/smoke/*.json | head -1)"

bench-micro: $(VENV)/.bench ## what the pieces of the hot path cost
	@$(BIN)/python -m benchmarks micro $(ARGS)

bench-limits: $(VENV)/.bench ## what the server holds and how fast it acts when peers are slow, hostile or gone
	@$(BIN)/python -m benchmarks limits $(ARGS)

soak: $(VENV)/.bench ## five minutes of rude clients, after which nothing may be left; less: make soak ARGS='--seconds 60'
	@$(BIN)/python -m benchmarks soak $(ARGS)

build: $(VENV)/.dev ## build the wheel
	@$(BIN)/python -m build --wheel

docs: $(VENV)/.docs ## make the book of all pages in docs/_build; a link that leads nowhere is an error
	@$(BIN)/python -m sphinx -q --fail-on-warning --keep-going -b html docs docs/_build
	@echo "docs/_build/index.html"

clean: ## remove what was made
	rm -rf $(VENV) $(LOWEST) .venv-newest .bench build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
