# Everything a fresh machine needs is Python 3.11 or 3.12, make and a network.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
FLAGS ?=

.PHONY: setup demo test test-slow test-gpu fuzz golden bench docs-numbers lint format lock clean

setup: $(READY)

# Compiled bytecode saves every later start some five seconds.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	$(BIN)/uv pip sync --quiet --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --editable .
	touch $(READY)

# Generates the embedded data set, trains, attacks, defends and prints the table of all finished runs.
demo: $(READY)
	$(BIN)/python attack.py sweep=demo
	$(BIN)/python attack.py sweep=demo fusion=concat attack=pgd,mim threat=synthetic
	$(BIN)/python defend.py defense=minsim threat=synthetic
	$(BIN)/avrobust report

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not slow and not gpu and not fuzz" $(FLAGS)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow $(FLAGS)

test-gpu: $(READY)
	$(BIN)/python -m pytest -m gpu $(FLAGS)

# Damaged media, settings and run folders, drawn anew for SECONDS a test; SEED=n repeats a failure.
SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python -m pytest -m fuzz --fuzz-seconds $(SECONDS) $(if $(SEED),--fuzz-seed $(SEED)) $(FLAGS)

# Pins the numbers of every option; refuses numbers that changed while their revision did not.
golden: $(READY)
	$(BIN)/python -m tests.golden

# Evaluations at the paper's size against a plain loop, on this machine; ten minutes on two cores.
bench: $(READY)
	$(BIN)/python benchmarks

# The tables of README.md and docs/; docs/numbers.yaml says what each costs. ONLY=demo makes one of them.
docs-numbers: $(READY)
	$(BIN)/python docs/write_numbers.py $(ONLY)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# No index address goes into the lock: installers use their own.
lock: $(READY)
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --group test --group oracles --extra dashboard --universal \
		--python-version 3.11 --generate-hashes --no-header --no-emit-index-url --output-file requirements.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
