# Everything runs from the project's root in .venv, which is made here with what the lock files name and no more.

PYTHON ?= python3
PYTEST_ARGS ?= -n auto
ARGS ?=

BIN := .venv/bin
# uv (when it is there) finds certificates as other programs do.
export UV_SYSTEM_CERTS := 1
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

# Installs exactly the files of a lock. pip is the fallback: it knows the machine's own package settings.
define install
	@if command -v uv >/dev/null 2>&1 && uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1); then :; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); fi
	@touch $@
endef

.DEFAULT_GOAL := help
.PHONY: help demo test check lock lock-check bench soak crash clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/runtime.stamp ## trade a generated world on the simulated exchange, offline (ARGS="..." is passed on)
	@$(BIN)/python main.py demo $(ARGS)

test: .venv/dev.stamp ## run all tests on all cores (PYTEST_ARGS="-k risk -x" narrows them)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: .venv/dev.stamp lock-check ## every check there is: style, types, architecture, lock files, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lock: ## choose the newest versions again and write both lock files (needs uv)
	$(LOCK) --upgrade pyproject.toml -o requirements.lock
	$(LOCK) --upgrade --extra dev --extra bench --extra cluster --constraint requirements.lock pyproject.toml -o requirements-dev.lock

lock-check:
	@! grep -nE '://|@ file' requirements.lock requirements-dev.lock || { echo "lock files must hold no address"; exit 1; }

bench: .venv/dev.stamp ## measure the hot paths beside their references
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py) $(ARGS) || exit 1; done

soak: .venv/dev.stamp ## simulate N worlds of faults on all cores (make soak N=20000)
	$(BIN)/python -m tests.simulation.soak --worlds $(or $(N),2000) $(ARGS)

crash: .venv/dev.stamp ## kill a real daemon at every instrumented point, N orders of the points (make crash N=20)
	CRASH_SEEDS=$(or $(N),10) $(BIN)/python -m pytest tests/e2e/test_crash_points_process.py $(PYTEST_ARGS)

clean: ## remove what was made here (not var/, which holds the database)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed. '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "The venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/runtime.stamp: requirements.lock | $(BIN)/python
	$(call install,requirements.lock)

.venv/dev.stamp: requirements-dev.lock | $(BIN)/python
	$(call install,requirements-dev.lock)
