# Everything happens in .venv and .local inside this checkout; nothing else is touched (pip's own cache aside).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo smoke test check contracts format bench bench-guard clean set-up set-up-dev

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: set-up  ## Start everything on this machine and keep serving: http://127.0.0.1:5000 (Ctrl-C stops it)
	@exec $(BIN)/python -m local_stack

smoke: set-up  ## Start everything, run the five sagas, print their traces, check how they ended
	@exec $(BIN)/python -m local_stack smoke

test: set-up-dev  ## Run the tests (REQUIRE_SERVICES=1: fail where RabbitMQ, Redis or PostgreSQL is missing)
	@exec $(BIN)/python -m pytest $(ARGS)

check: set-up-dev  ## Check format, lint, types, layers and the published documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sagas asyncapi keep docs/asyncapi --check

format: set-up-dev  ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contracts: set-up-dev  ## Renew the published AsyncAPI documents in docs/asyncapi
	@exec $(BIN)/sagas asyncapi keep docs/asyncapi

bench: set-up-dev  ## Measure how fast it is, beside other systems (ARGS=--quick: see that it works; docs/benchmarks.md)
	@exec $(BIN)/python -m benchmarks suite $(ARGS)

bench-guard: set-up-dev  ## Count what a saga costs; fails above the record (ARGS=--record: renew the record)
	@exec $(BIN)/python -m benchmarks guard $(ARGS)

clean:  ## Remove the environment, the local databases and all caches
	rm -rf $(VENV) .local build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

set-up:
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh tools/set_up.sh demo

set-up-dev:
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh tools/set_up.sh dev
