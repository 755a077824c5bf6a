# Two commands do all the set-up: `make run` and `make test`. `make help` lists every habit.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKS ?= standard-srvt-ioc standard-srvt-moc standard-srvt-foc
PROVEN ?= standard-srvt-ioc standard-dormant-migration-ioc security-ioc

# What is compiled is kept, whatever the environment says: else each of many processes compiles it anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test lint types tests prove seeds lab-faults chaos peers bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Extra `capture` is scapy, GPL-2.0-only: here for development alone, since the tests read captures with it.
# A lab that installs the harness has it only where it asks for it.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,capture]'
	@touch $@

run: $(VENV)/.installed ## run the standard packs over the simulated lab
	$(BIN)/harness run $(PACKS)

test: lint types peers tests ## linter, strict type checker and tests

lint: $(VENV)/.installed ## ruff
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed ## mypy, strict
	$(BIN)/mypy

# One worker more than there are cores, for tests wait for lines and deadlines; what takes longest begins first.
tests: $(VENV)/.installed ## the tests alone, on every core
	$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print(1 + (os.cpu_count() or 1))') --dist loadfile \
	  --no-loadscope-reorder tests/end_to_end tests harness device_drivers

# Every fault of the catalogue, each against those of these packs that can touch it.
prove: $(VENV)/.installed ## which faults the packs catch; that their tests look at devices whose ports may lie
	$(BIN)/python -m tests.lying_ports
	$(BIN)/harness packs $(PROVEN:%=--prove=%)

seeds: $(VENV)/.installed ## all packs over good twins, ten seeds in a row; print times, and every flake with its evidence
	$(BIN)/python -m benchmarks.seeds

lab-faults: $(VENV)/.installed ## good devices in a lab that breaks in every tenth test: none may be blamed
	$(BIN)/python -m tests.lab_faults

chaos: $(VENV)/.installed ## kill, stop, fill and mislead runs, twenty times each; print what was kept and what was left
	$(BIN)/python -m tests.chaos

# Peers are other people's stacks that ours is held against. They run as processes of their own, in an
# environment of their own, for their licences are not ours. Without them the tests say that they are skipped.
peers: .venv-peers/.installed .peers/.installed

.venv-peers/.installed: tests/interoperability/peers/requirements.txt $(VENV)/.installed
	-$(PYTHON) -m venv .venv-peers && .venv-peers/bin/python -m pip install --quiet -r $< && touch $@

.peers/.installed:
	-@mkdir -p .peers; if command -v npm >/dev/null && command -v java >/dev/null; then \
	  npm install --silent --no-audit --no-fund --prefix .peers @smartdcc/duis-sign-wrap@0.1.2 && touch $@; \
	else echo "npm or java is missing: the tests against DCC's signing tool will be skipped"; fi

bench: $(VENV)/.installed peers ## print timings, beside peers in the same run
	$(BIN)/python benchmarks/profile_read.py
	$(BIN)/python benchmarks/optical_line.py
	$(BIN)/python benchmarks/packs.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/leases.py
	$(BIN)/python benchmarks/scheduling.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/verify_run.py

clean: ## remove what the targets made, but for runs
	rm -rf $(VENV) .venv-peers .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis
