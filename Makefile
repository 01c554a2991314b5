# Every target does its own set-up. It needs make, Python 3.11 or newer with its venv module, and a package index.

PYTHON ?= $(firstword $(foreach name,python3.14 python3.13 python3.12 python3.11 python3,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPILED := $(VENV)/.compiled
LEAVES := $(shell sed -n 's/^    "\(shardproxy\..*\)",$$/\1/p' shardproxy/compiled.py | tr . /)
LEAF_SOURCES := $(wildcard $(LEAVES:=.py) $(LEAVES:=.pxd))

.PHONY: help install venv demo test chaos lint bench clean

help:
	@echo 'make demo    three shards with replicas and a sidecar in front, until Ctrl-C   (ARGS="--check": a tour)'
	@echo 'make test    lint, types, layers and every test                                (ARGS="-k copy": some tests)'
	@echo 'make chaos   every fault at every step of a move, then moves and crashes under checked histories (see'
	@echo '             SHARDPROXY_CHAOS_SECONDS, _MOVES and _SEED in tests/histories/__init__.py)'
	@echo 'make bench   pgbench straight, through PgBouncer and through the sidecar       (ARGS="--quick": a short one)'
	@echo 'make install only the virtual environment in .venv, with the leaves compiled in place'
	@echo 'make clean   remove everything that was built, and .venv'

venv install: $(INSTALLED) $(COMPILED)

$(BIN)/python:
	@echo 'installing into $(VENV), which takes about a minute the first time' >&2
	@test -n '$(PYTHON)' || { echo 'make: no Python 3.11 or newer on PATH; name one: make PYTHON=...' >&2; exit 1; }
	@'$(PYTHON)' -m venv $(VENV) || { rm -rf $(VENV); echo 'make: the venv module is missing (Debian: python3-venv)' >&2; exit 1; }

$(INSTALLED): pyproject.toml setup.py shardproxy/compiled.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	SHARDPROXY_PURE=1 $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[test,demo]'
	@touch $@

# The compiled build lies beside the sources and would shadow them, so it is made anew when one of them changes.
# Without a C compiler the sources themselves run: slower, and otherwise the same.
$(COMPILED): $(LEAF_SOURCES) $(INSTALLED)
	rm -f $(foreach leaf,$(LEAVES),$(wildcard $(leaf).*.so))
	$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

demo: install
	@$(BIN)/shardproxy demo $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

chaos: install
	SHARDPROXY_CHAOS=1 $(BIN)/python -m pytest tests/rebalance/test_crashes.py $(ARGS)
	SHARDPROXY_CHAOS_SECONDS="$${SHARDPROXY_CHAOS_SECONDS:-600}" $(BIN)/python -m pytest -m chaos $(ARGS)

lint: install
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy shardproxy loadtests
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m loadtests.bench $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find shardproxy -name '*.so' -delete
	find shardproxy tests loadtests -name __pycache__ -prune -exec rm -rf {} +
