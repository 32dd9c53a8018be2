# Short names for the commands of README.md and the workshop. `make` lists them.
# Tools come from the environment on PATH; `make setup` puts what is needed into it.

PYTHON ?= python
README_COMMAND = $(PYTHON) tools/readme_command.py

.DEFAULT_GOAL := list
.PHONY: list setup run demo test test-all crash bench check lint types contracts checks generated snippets wheel format lock clean

list: ## these names
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: ## install the package in place with everything locked that the checks need
	$(PYTHON) -m pip install --constraint requirements-dev.txt -e '.[test]' -r requirements-dev.txt

run: ## the README's first command: install, then the demo
	@command="$$($(README_COMMAND) run)" && echo "$$command" && sh -ec "$$command"

demo: ## the demo alone
	llmspell demo

test: ## the README's test command: install with the test extra, then the tests
	@command="$$($(README_COMMAND) test)" && echo "$$command" && sh -ec "$$command"

test-all: ## every test, the slow ones too
	pytest -m ""

crash: ## the full crash sweep: kill, fail, flip at every position
	pytest -m crash tests/crash

bench: ## all benchmarks against raw engine and peers, in an environment of their own
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade pip
	.venv-bench/bin/python -m pip install --quiet . -r benchmarks/requirements.txt
	.venv-bench/bin/python -m benchmarks

check: lint types contracts checks generated snippets wheel ## all of the seven checks from here on

lint: ## ruff: rules and format
	ruff check .
	ruff format --check --quiet .

types: ## mypy, strict
	mypy

contracts: ## import contracts, and planted violations of them
	$(PYTHON) -m tools.contracts

checks: ## the project's own rules (tools/checks)
	$(PYTHON) -m tools.checks

generated: ## generated files and the lock are current
	$(PYTHON) tools/lock.py --check
	if [ -f tools/make_sync.py ]; then $(PYTHON) tools/make_sync.py --check; fi
	$(PYTHON) tools/make_docs.py --check
	$(PYTHON) tools/make_scripting.py --check

snippets: ## every snippet of the documents runs
	$(PYTHON) -m tools.snippets

wheel: ## the wheel holds exactly the package's files
	$(PYTHON) tools/wheel.py

format: ## let ruff rewrite
	ruff check --fix --exit-zero --quiet .
	ruff format .

lock: ## resolve requirements-dev.txt anew
	$(PYTHON) tools/lock.py

clean: ## remove what tools leave behind
	rm -rf build dist .venv-bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
