# The commands of this project; `make` lists them. Everything they install is described in .ci/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# What `make test` runs; a part joins this list together with its first test.
PARTS := unit integration cli agents browser chaos

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q

.PHONY: help python setup demo test $(addprefix test-,unit integration cli agents browser chaos long published) \
	check docs bench bench-api chaos soak lock clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1: \2/p' $(MAKEFILE_LIST)

python: ## install Python and the locked packages into .venv (no engine)
	@.ci/setup-python.sh

setup: python ## install all that the project needs: .venv, a Docker engine, the base image
	@.ci/setup-engine.sh

demo: setup ## start everything, provision a real crew, keep serving (ONCE=1: stop then)
	@$(BIN)/crewship demo $(if $(ONCE),--once)

test: $(PARTS:%=test-%) ## run every test part, long tests in their short form

test-unit: python ## fast tests: no engine, no network
	$(PYTEST) -n auto -m "not engine and not registry and not postgres and not cli and not agents and not browser and not chaos and not long and not published"

test-integration: setup ## tests with a real Docker engine, registry and PostgreSQL
	@.ci/test-tools.sh registry postgres
	$(PYTEST) -m "(engine or registry or postgres) and not (cli or agents or browser or chaos or long)"

test-cli: setup ## the crewship command against a real server
	@.ci/test-tools.sh registry cli
	$(PYTEST) -m "cli and not long"

test-agents: setup ## agents on a real engine
	@.ci/test-tools.sh registry
	$(PYTEST) -m "agents and not long"

test-browser: setup ## Chromium against a real server
	@.ci/test-tools.sh registry browser
	$(PYTEST) -m "browser and not long"

test-chaos: setup ## killed processes, cut connections (short form)
	@.ci/test-tools.sh registry postgres
	$(PYTEST) -m "chaos and not long"

test-long: setup ## the long tests in full
	@.ci/test-tools.sh registry postgres cli browser
	$(PYTEST) -m "long"

test-published: setup ## published features with their real install.sh: CREWSHIP_TEST_FEATURES=DIR
	$(PYTEST) -m "published"

chaos: setup ## run the chaos table (SHORT=1: only its short form) and print it as Markdown
	@.ci/test-tools.sh registry postgres
	$(BIN)/python -m tests.chaos --run $(if $(SHORT),short,all)

soak: setup ## many small builds, hits and restarts; prints memory and sizes: SCALE=1 MINUTES=90
	$(BIN)/python -m tests.soak --scale $(or $(SCALE),1) --minutes $(or $(MINUTES),90)

check: python ## lint, format, types, import rules, migrations, deployment, API schema
	@.ci/check.sh

docs: python ## build the documentation as a site: build/site
	@$(BIN)/zensical build --clean --strict

bench: setup ## compare with the reference builder: benchmarks/results/latest.json
	@.ci/test-tools.sh npm
	$(BIN)/python -m benchmarks.provision

bench-api: python ## measure the API: benchmarks/results/api.json
	$(BIN)/python -m benchmarks.api

lock: python ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
		--extra dev --extra postgres pyproject.toml -o requirements.lock

clean: ## remove caches and build leftovers (keeps .venv, crewship-data, images)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache build *.egg-info benchmarks/results
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
