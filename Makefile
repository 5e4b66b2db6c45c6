# make run    starts the site             make check  everything a change must pass
# make test   runs every test             make setup  prepares .venv; all others call it
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

VENV := .venv
PY := $(VENV)/bin/python
MARKET ?= live
DATA ?=
ONLY ?=
PORT ?= 8000
WORKERS ?= 2
EXAMPLES ?= 200
PYTEST := $(PY) -m pytest -q -n $(WORKERS)
# Tests on local files must not meet a database or a Redis that the shell happens to name; bytecode is kept,
# because compiling all modules again takes longer than many of the tests.
LOCALLY := env -u DATABASE_URL -u REDIS_URL -u PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test test-fast test-local test-servers test-faults test-soak servers lint types imports check bench openapi test-contract client

help:
	@echo "make run          start the site; MARKET=live|sample|replay DATA=<folder> PORT=8000"
	@echo "make test         run all tests: SQLite, PostgreSQL and Redis, Chromium"
	@echo "make test-fast    run the tests that need no server, no browser and no training"
	@echo "make test-faults  run the tests that inject faults into real processes"
	@echo "make test-contract  try every operation of the API with schemathesis; EXAMPLES=500 tries longer"
	@echo "make test-soak    play a month and a day of 5,000 coins in fast-forward (about 20 minutes)"
	@echo "make check        lint, types, import rules, migrations, deployment check, all tests"
	@echo "make bench        measure against peers and physical limits; ONLY=P1,P3"
	@echo "make openapi      write docs/openapi.yaml again, after a change of the API"
	@echo "make client       generate the typed Python client into clients/python/cryptopredict-client"
	@echo "make setup        prepare .venv"

setup:
	@./.ci/setup

run: setup
	@MARKET="$(MARKET)" DATA="$(DATA)" PORT="$(PORT)" exec $(PY) -m cryptopredict.operations.run

# From the OpenAPI document of this checkout; the generator formats by ruff, which it finds on the PATH.
client: setup
	$(LOCALLY) MARKET=sample $(PY) manage.py spectacular --format openapi-json --file clients/python/openapi.json
	PATH="$(abspath $(VENV)/bin):$$PATH" openapi-python-client generate --path clients/python/openapi.json \
	  --config clients/python/config.yml --output-path clients/python/cryptopredict-client --overwrite --fail-on-warning

test: setup servers test-local test-servers test-faults

test-local:
	@echo "== all tests on local files: SQLite, broker on disk, Chromium"
	$(LOCALLY) $(PYTEST) -m "not postgres and not redis and not soak and not faults"

test-servers:
	@echo "== the tests of database, cache and workers again, on PostgreSQL and Redis"
	$(PY) -m cryptopredict.tests.servers $(PYTEST) -m "not soak and not faults and (postgres or redis or (not browser and not slow and not shared))"

test-fast: setup
	$(LOCALLY) $(PYTEST) -m "not postgres and not redis and not browser and not second and not slow and not soak and not shared and not faults"

# A simulated month on the free plan, and a day of ticks over 5,000 coins on PostgreSQL.
test-soak: setup servers
	$(PY) -m cryptopredict.tests.servers $(PY) -m pytest -q -s -m soak

# Two hosts and full disks need network namespaces and mounts, which only root may make.
test-faults: setup servers
	@echo "== the tests that inject faults into real processes"
	@[ "$$(id -u)" = 0 ] || echo "Not root: the tests marked netns (two hosts, full disks) are left out. sudo make test-faults runs them."
	$(PY) -m cryptopredict.tests.servers $(PYTEST) -m "faults$$([ "$$(id -u)" = 0 ] || echo ' and not netns')"

# Part of test-servers too, with few examples.
test-contract: setup servers
	CONTRACT_EXAMPLES=$(EXAMPLES) $(PY) -m pytest -q -m contract

# Measures; nothing here is a test. On a database of its own, in PostgreSQL of its own unless DATABASE_URL is given.
bench: setup servers
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	$(PY) -m bench "$(ONLY)"

# Installs the servers and the browser that the tests need, where a package manager allows it.
servers:
	@./.ci/servers

# A test compares the file with what the site serves, so that a review sees every change of the API.
openapi:
	$(LOCALLY) $(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

lint:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types:
	$(VENV)/bin/mypy

imports:
	$(VENV)/bin/lint-imports

check: setup lint types imports
	$(LOCALLY) $(PY) manage.py makemigrations --check --dry-run
	$(LOCALLY) HTTPS=1 SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	  JWT_SIGNING_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	  $(PY) manage.py check --deploy --fail-level WARNING
	$(MAKE) test
