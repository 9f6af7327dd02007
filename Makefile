# Every target sets up .venv by itself: a bare machine needs python3 (3.11 or newer), make and gcc.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
KERNELS := $(wildcard src/tidemill/kernels/*.c src/tidemill/kernels/*.h)

.PHONY: install quickstart test test-fast test-long chaos lint bench bench-serving constraints clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(KERNELS)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

quickstart: $(STAMP)
	$(BIN)/python -m tidemill.cli.quickstart

lint: $(STAMP)
	$(BIN)/ruff format --check src tests bench docs examples *.py
	$(BIN)/ruff check src tests bench docs examples *.py
	$(BIN)/mypy
	$(BIN)/lint-imports

test-fast: $(STAMP)
	$(BIN)/pytest -n 2 -m 'not slow and not serial'

test: lint
	$(BIN)/pytest -n 4 --dist worksteal -m 'not serial and not long'
	$(BIN)/pytest -m 'serial and not long'

test-long: $(STAMP)
	$(BIN)/pytest -m long

chaos: $(STAMP)
	TIDEMILL_CHAOS_SECONDS=60 TIDEMILL_CHAOS_REQUESTS=100000 $(BIN)/pytest -s tests/chaos

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[peers]'
	$(BIN)/python -m bench

bench-serving: $(STAMP)
	$(BIN)/python -m bench.serving_peers

constraints:
	@(sed -n '/^#/p' constraints.txt; $(BIN)/pip freeze --exclude-editable) > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
