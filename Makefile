# What one types here; `make help` lists it. Needs Python 3.11 to 3.13 and make; uv is used where there is one.

PYTHON ?= python3
SOURCE ?=
BIN := .venv/bin
STAMP := .venv/.installed

# the recipe sees it as a variable of its shell, so that a name with spaces or quotes stays one name
export SOURCE
# what a person's shell says about Python must not reach this one
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow up down status lock lint-docker

help: ## list what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: $(STAMP) ## install everything that is pinned in requirements.txt into .venv

demo: $(STAMP) ## the whole way once, on MovieLens latest-small; SOURCE=... takes another folder, file, archive or URL
	@$(BIN)/marquee demo "$$SOURCE"

test: $(STAMP) ## style, types, import layers and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --no-loadscope-reorder

test-slow: $(STAMP) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

up: $(STAMP) ## start the services
	@$(BIN)/marquee up

down: $(STAMP) ## end the services
	@$(BIN)/marquee down

status: $(STAMP) ## show the services, the DAGs and the release
	@$(BIN)/marquee status

lint-docker: ## check docker/ (needs npx; hadolint where it is installed)
	npx --yes dclint@3.1.0 -c docker/.dclintrc.yaml --max-warnings 0 docker/compose.yaml
	@! command -v hadolint >/dev/null || hadolint docker/Dockerfile

lock: ## resolve requirements.in anew into requirements.txt, for all Pythons and systems, with hashes (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade requirements.in -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes -c requirements.txt docker/requirements.in -o docker/requirements.txt

# Two steps, so that a stopped installation is taken up where it was; the stamp comes last.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
		echo "Marquee needs Python 3.11 to 3.13, and $(PYTHON) is $$($(PYTHON) -V 2>&1 | tail -n 1): run make with PYTHON=python3.12 (or the path of one)." >&2; \
		exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
		set -e; \
		test -x $(BIN)/python || uv venv --quiet --python "$$(command -v $(PYTHON))" .venv; \
		uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.txt; \
		uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .; \
	else \
		set -e; \
		test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes --requirement requirements.txt; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .; \
	fi
	@touch $(STAMP)
