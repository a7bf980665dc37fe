# Both main targets do all the set-up themselves, on Gentoo or elsewhere, as root or not; see tools/setup.
.DEFAULT_GOAL := help
.PHONY: help demo test setup style pins clean
DEMO ?= .demo
JOBS ?= auto
TESTS ?=

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name what; do printf '  make %-6s  %s\n' "$$name" "$$what"; done

demo: ## build one package for two machines on a Gentoo host in .demo, which stays for you to play in
	@tools/setup run
	@.venv/bin/gentoomuch demo "$(DEMO)"

test: ## run all tests, linters among them; TESTS=tests/unit for some, JOBS=2 for two at once
	@tools/setup test
	@.venv/bin/python -m pytest -ra --numprocesses=$(JOBS) --maxprocesses=8 --dist=worksteal $(TESTS)

setup: ## make .venv with all that development needs, and install the hook for commit messages
	@tools/setup test
	@tools/setup hook

style: setup ## format the code, and mend what ruff can mend
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

pins: ## look for newer versions of everything in requirements/
	@tools/pins

clean: ## remove all that these targets have made
	rm -rf .venv .demo .tox .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
