# Every target sets up what it needs: Python >= 3.11, git and make are enough to start with.
# The set-up is stamped, so a second run costs nothing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python
WORKERS := 2
REAL   := $(VENV)/real-agents

.DEFAULT_GOAL := help
.PHONY: help demo test check sim mutants crash bench real-agents real-agents-if-possible \
        bubblewrap-if-possible

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## 25 beads of a bundled repository land, with a recorded agent
	@$(BIN)/oya demo

test: check real-agents-if-possible bubblewrap-if-possible ## check, then every test; with CI=true a skipped test is a failed one
	@$(BIN)/python -m pytest -rs -n $(WORKERS) --dist loadfile $(ARGS)

check: $(VENV)/.dev ## lint, formatting, types, layers: seconds
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

sim: $(VENV)/.dev ## whole swarms on virtual time through SEEDS=1000 seeded disasters, each log checked
	@$(BIN)/python -m oya.testing.simulation $(or $(SEEDS),1000) --first $(or $(FIRST),1)

mutants: $(VENV)/.dev ## the planted bugs are hunted by the simulation, SEEDS=2000 each at most
	@$(BIN)/python tests/sim/hunt.py $(or $(SEEDS),2000)

crash: $(VENV)/.dev ## real daemons are killed ROUNDS=100 times, and what is left is checked
	@$(BIN)/python tests/crash/run.py $(or $(ROUNDS),100) $(if $(KILLS),--kills "$(KILLS)") \
	  $(if $(UNTRACKED),--untracked)

bench: $(VENV)/.dev ## each measure beside its baseline; NAME=actors takes only that one
	@$(BIN)/python benchmarks/run.py $(NAME)

real-agents: $(REAL)/.ready ## coding agents, test runners and moon from npm, into .venv, for tests

# Without Node, or without a network, the tests that need real agents skip and say so.
real-agents-if-possible: $(VENV)/.dev
	@if ! command -v npm >/dev/null; then \
	  echo "skipped: tests with real agents (Node with npm is not installed)"; \
	elif ! $(MAKE) --no-print-directory real-agents; then \
	  echo "skipped: tests with real agents (npm could not install them; see above)"; \
	fi

# Without bubblewrap, and without root to install it, the tests of the sandbox skip and say so.
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq
bubblewrap-if-possible:
	@if command -v bwrap >/dev/null; then :; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "skipped: tests of the sandbox (bubblewrap is not installed: apt install bubblewrap)"; \
	elif ! ($(APT) install -y bubblewrap || { $(APT) update && $(APT) install -y bubblewrap; }) \
	  >/dev/null 2>&1; then \
	  echo "skipped: tests of the sandbox (apt-get could not install bubblewrap)"; \
	fi

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"oya needs Python 3.11 or newer, and this is {sys.version.split()[0]}: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.run: requirements/run.txt pyproject.toml $(VENV)/.uv
	@$(UV) --require-hashes --requirement requirements/run.txt
	@$(UV) --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@$(UV) --require-hashes --requirement requirements/dev.txt
	@touch $@

# A folder of its own, so that neither node_modules nor a lock (npm's holds addresses of a
# registry) comes into the repository; the versions in package.json are exact.
$(REAL)/.ready: tests/real/package.json $(VENV)/.uv
	@mkdir -p $(REAL)
	@cp tests/real/package.json $(REAL)/package.json
	@npm install --prefix $(REAL) --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@
