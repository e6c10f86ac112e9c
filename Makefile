# Two commands do everything on a fresh machine that has Python and make:
#   make demo    see it work          make test    prove that it does

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Hundreds of tests start a process; one that may not keep what it compiled takes three times as long.
unexport PYTHONDONTWRITEBYTECODE
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test compiled lint types architecture unit docs bench soak keys slots crash prove prove-short planted mutants simulate simulate-stack peers browser fuzz differential storm pyz format clean help

help:  ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.ready-demo  ## Poll a fake service through throttles and faults, and compare the bills.
	$(BIN)/python examples/demo.py

test: $(VENV)/.ready-test  ## Everything that must hold: style, types, arrows, tests.
	$(MAKE) --no-print-directory --jobs=2 lint types architecture compiled
	$(MAKE) --no-print-directory unit

lint: $(VENV)/.ready-test  ## Style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-test  ## Types, strictly.
	$(BIN)/mypy

architecture: $(VENV)/.ready-test  ## Which part may import which.
	$(BIN)/lint-imports --no-logo

# While the types are checked another processor compiles the tests, which each process that runs them would do otherwise.
compiled: $(VENV)/.ready-test
	-@$(BIN)/python -m pytest -q --collect-only >/dev/null

# One process more than there are processors: many tests wait for processes that they start.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))

# Of what takes long only a few cases; `make prove-short` runs all of them.
unit: $(VENV)/.ready-test  ## Tests.
	$(BIN)/python -m pytest -q --numprocesses $(WORKERS) --dist worksteal

# Measuring coverage doubles what the tests cost. The floors: 90 % of everything, 95 % of the machine, branches counted.
prove-short: $(VENV)/.ready-test  ## All cases of all tests, with coverage; the planted bugs; a short simulation; some 15 minutes.
	$(PIP) install --constraint constraints.txt --editable '.[test,browser,mutants]'
	$(BIN)/coverage erase
	HYPOTHESIS_PROFILE=short $(BIN)/coverage run -m pytest -q --thorough --numprocesses $(WORKERS) --dist worksteal
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=95 --include='resilient_poll/machine/*'
	$(BIN)/python -m tests.planted
	$(BIN)/python -m tests.simulation --seed $(SEED) --runs 200
	$(BIN)/python -m tests.simulation --seed $(SEED) --full-stack --runs 12

docs: $(VENV)/.ready-test  ## Rewrite what the documentation derives from the code.
	$(BIN)/python docs/derive.py

bench: $(VENV)/.ready-test  ## Measure, beside what people would write or use instead; some minutes, alone on the machine.
	$(BIN)/python -m benchmarks

soak: $(VENV)/.ready-test  ## Twenty thousand tasks through one ledger, its writes, the event loop; ten minutes or so.
	$(BIN)/python -m benchmarks soak ledger

keys: $(VENV)/.ready-test  ## Eight processes want the same 500 results at once, on SQLite and on PostgreSQL; half a minute.
	LEDGER_KEYS=500 $(BIN)/python -m pytest -q --durations=2 tests/dashscope/test_ledger_many_processes.py

slots: $(VENV)/.ready-test  ## Eight processes on one key keep to three tasks and three requests; a minute or two.
	SLOTS_TASKS=15 SLOTS_REQUESTS=100 $(BIN)/python -m pytest -q --durations=4 tests/dashscope/test_ledger_slots_processes.py tests/ledger/test_slots_processes.py

crash: $(VENV)/.ready-test  ## Kill workers at 1,000 random moments, and judge by the fake's bill; some minutes.
	$(BIN)/python -m tests.crash --kills 1000

prove: $(VENV)/.ready-test  ## Every property with 2,000 values and more, at random; half an hour to an hour; stop it at will, it goes on where it stopped.
	$(BIN)/python -m tests.properties.prove

SEED ?= 1
RUNS ?= 5100
simulate: $(VENV)/.ready-test  ## A million tasks in worlds full of faults, in virtual time; SEED=1 RUNS=5100; six minutes or more.
	$(BIN)/python -m tests.simulation --seed $(SEED) --runs $(RUNS)

simulate-stack: $(VENV)/.ready-test  ## The same worlds through the real clients, one driver a world; 11,000 tasks; a minute.
	$(BIN)/python -m tests.simulation --seed $(SEED) --full-stack

planted: $(VENV)/.ready-test  ## Each planted bug in a copy, and the test that must catch it; a minute or two.
	$(BIN)/python -m tests.planted

mutants: $(VENV)/.ready-test  ## The code changed in thousands of small ways, which tests must notice; hours; it goes on where it stopped.
	$(PIP) install --constraint constraints.txt --editable '.[test,mutants]'
	nice $(BIN)/python -m tests.mutants
	$(BIN)/python -m tests.mutants --write

peers: $(VENV)/.ready-test  ## See what others do with the faults that ours is tested for, and in an outage; two minutes.
	$(PIP) install --constraint constraints.txt --editable '.[test,peers]'
	$(BIN)/python -m benchmarks.peers --write
	$(BIN)/python -m benchmarks.outage --write
	$(BIN)/python docs/derive.py

# The tests run, too, as a part of `make test`, where Chromium and Playwright are.
browser: $(VENV)/.ready-test  ## The fake's page in a real browser; it wants Chromium, and takes the pictures of the docs anew.
	$(PIP) install --constraint constraints.txt --editable '.[test,browser]'
	$(BIN)/python -m pytest -q tests/browser
	$(BIN)/python -m tests.browser.screenshot

fuzz: $(VENV)/.ready-test  ## Schemathesis, odd requests, and odd inputs that grow the corpus; half an hour.
	FUZZ_EXAMPLES=20 FUZZ_REQUESTS=20000 $(BIN)/python -m pytest -q --thorough tests/fake_server/test_openapi.py tests/fake_server/test_hostile_admin.py
	FUZZ_INPUTS=200 $(BIN)/python -m pytest -q tests/fuzz
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),20)

differential: $(VENV)/.ready-test  ## 1,000 generated scenarios in six ways; the vendor's package anew; some minutes.
	DIFFERENTIAL_SCENARIOS=1000 $(BIN)/python -m pytest -q --thorough tests/differential

storm: $(VENV)/.ready-test  ## 200,000 requests, sane and mad, against a fake under heavy chaos; some minutes.
	$(BIN)/python -m tests.storm --requests 200000

pyz: $(VENV)/.ready-test  ## The fake as one file, for this Python and platform.
	$(BIN)/python tools/build_fake.py dist/fake-dashscope.pyz

format: $(VENV)/.ready-test  ## Format and mend what can be mended.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what the targets made.
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache .pytest_cache .prove demo-output

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second call reuse the environment; a changed pyproject.toml renews it.
$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[cli,fake]'
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@ $(VENV)/.ready-demo
