# Needs Python 3.11 or newer and make; everything else comes into .venv from pyproject.toml.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# A change of pyproject.toml installs anew; a fresh clone or a touched file does not.
INSTALLED := .venv/.installed-$(shell cksum < pyproject.toml | tr -d ' ')

.PHONY: setup run demo demo-http test check fmt prove bench
.DEFAULT_GOAL := run

setup: $(INSTALLED)

$(INSTALLED):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (Debian: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into .venv (half a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[dev]'
	@# Its bound on greenlet excludes Playwright's; what it needs to run under Flask is named in pyproject.toml.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps 'httpbin==0.10.4'
	@rm -f .venv/.installed* && touch $@

PORT ?= 8000
run demo: setup
	@exec $(BIN)/python manage.py up --demo --port $(PORT)

# The same shop as three services of their own, called over HTTP (examples/shop_http/).
demo-http: setup
	@PYTHONPATH=examples exec $(BIN)/python -m shop_http --port $(PORT)

test: setup
	@$(BIN)/python -m tests.everywhere

# The long proofs: more samples of every property, the same tests otherwise; then every broken engine must be noticed.
prove: setup
	@HYPOTHESIS_PROFILE=prove $(BIN)/python -m tests.everywhere
	@$(BIN)/python -m tests.engine_mutants

check: export SAGAWEB_DATA_DIR := $(CURDIR)/var/check
check: export SAGAWEB_SECRET_KEY := only for checks, which sign nothing that anybody keeps
check: export SAGAWEB_DEMO := 1
check: setup
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check
	$(BIN)/python -m pytest -q tests/test_tidy.py

fmt: setup
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format
	$(BIN)/python docs/limits.py

# Takes minutes and a quiet machine. DATABASE=postgres://user@127.0.0.1/benchmark measures PostgreSQL.
DATABASE ?= sqlite
bench: setup
	$(BIN)/python -m benchmarks.alone --database $(DATABASE)
	$(BIN)/python -m benchmarks.drain --database $(DATABASE)
	$(BIN)/python -m benchmarks.http_steps --database $(DATABASE)
