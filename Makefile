.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help run test check bench format lock

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: ## Install what is needed, then start everything on http://localhost:8000
	@scripts/bootstrap requirements.lock
	@exec $(PYTHON) manage.py serve --with-parent

test: ## Install what is needed, then run all tests
	@scripts/bootstrap requirements-dev.lock
	@scripts/browser
	@$(PYTHON) -m pytest -n 2 --dist loadgroup

check: ## Lint, types, import rules, migrations, deployment settings
	@scripts/bootstrap requirements-dev.lock
	@scripts/check

bench: ## Run the benchmarks; results go to bench/results
	@scripts/bootstrap requirements-dev.lock
	@$(PYTHON) -m bench

format: ## Format the code
	@scripts/bootstrap requirements-dev.lock
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format --quiet .
	@.venv/bin/djade --target-version 6.0 $$(git ls-files 'templates/*.html')

lock: ## Resolve the dependencies anew
	@scripts/bootstrap requirements-dev.lock
	@scripts/lock
