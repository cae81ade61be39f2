# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CONFIG := configs/gateway.yaml
NODE := tests/clients/node
NODE_READY := $(NODE)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help install node run test check format bench bench-wire bench-semantic-cache clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY) ## Set up .venv with everything (leaves .venv/bin/headgate)

$(READY): pyproject.toml constraints.txt
	@echo "Installing about 180 packages into $(VENV); this takes minutes the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $(READY)

node: $(NODE_READY) ## Set up the OpenAI client for Node.js, which tests drive

$(NODE_READY): $(NODE)/package.json $(NODE)/package-lock.json
	@node -e 'if (parseInt(process.versions.node) < 18) throw new Error("Node.js 18 or newer is needed, this is " + process.versions.node)'
	@cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

run: install ## Index the demo documents and start the gateway on http://127.0.0.1:8080
	@$(BIN)/headgate ingest docs --config $(CONFIG)
	@exec $(BIN)/headgate serve --config $(CONFIG) --example

test: install ## Run all tests
	@if ! command -v npm >/dev/null; then echo "npm is not installed: tests of the client for Node.js are skipped."; \
	else $(MAKE) --no-print-directory node || echo "The client for Node.js cannot be set up: its tests are skipped."; fi
	@$(BIN)/python -m pytest -q --numprocesses 3 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder

check: install ## Format, lint, types, import rules, shape
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/test_shape.py

format: install ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install ## Measure start-up and overhead (ratios within one run)
	@$(BIN)/python tests/benchmarks/startup.py

bench-wire: install ## Measure streams, hang-ups and a sick pool; writes docs/benchmarks/wire.md
	@$(BIN)/python tests/benchmarks/wire.py --write docs/benchmarks/wire.md

bench-semantic-cache: install ## Measure false hits and hits of the semantic cache
	@$(BIN)/python tests/benchmarks/semantic_cache.py

clean: ## Remove .venv, var/ and the packages for Node.js
	rm -rf $(VENV) var $(NODE)/node_modules
