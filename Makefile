# Everything that is done with this repository, by name.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SYSTEM := $(shell uname -s)
PACK := $(if $(filter Darwin,$(SYSTEM)),plugins/darwin,$(if $(filter Linux,$(SYSTEM)),plugins/linux,plugins/windows))
CODE := zeek_agent_core plugins/linux/zeek_agent_linux plugins/darwin/zeek_agent_darwin plugins/windows/zeek_agent_windows plugins/osquery/zeek_agent_osquery
PORTABLE := zeek_agent_core plugins/osquery/zeek_agent_osquery
RUN_ARGS ?= --interval 5

.DEFAULT_GOAL := help
.PHONY: help run shell test test-zeek test-osquery check static format lint types imports generated docs bench wheels clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/agent ## install, then show what happens on this host until Ctrl-C (RUN_ARGS="...")
	@$(BIN)/zeek-agent --local $(RUN_ARGS)

test: $(VENV)/dev ## install what the tests need, then run them all
	$(BIN)/python -m pytest $(TEST_ARGS)

test-zeek: $(VENV)/dev ## run the tests with the real Zeek on the PATH; see CONTRIBUTING.md
	@command -v zeek >/dev/null || { echo "NOT TESTED WITH A REAL ZEEK: no zeek on the PATH" >&2; exit 1; }
	@[ -n "$$ZEEK_AGENT_STOCK_PACKAGE" ] || echo "NOT TESTED WITH THE STOCK PACKAGE: set ZEEK_AGENT_STOCK_PACKAGE" >&2
	$(BIN)/python -m pytest tests/zeek tests/unit/broker/test_bindings.py $(TEST_ARGS)

test-osquery: $(VENV)/dev ## run the tests of osquery's tables with the real osqueryd on the PATH
	@command -v osqueryd >/dev/null || { echo "NOT TESTED WITH A REAL OSQUERY: no osqueryd on the PATH" >&2; exit 1; }
	OSQUERYD=$$(command -v osqueryd) $(BIN)/python -m pytest plugins/osquery/tests $(TEST_ARGS)

check: static ## what CI runs: format, lint, types, imports, generated files, tests
	$(MAKE) test

static: $(VENV)/dev format-check lint types imports generated

.PHONY: format-check
format-check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/python tools/zeek_scripts.py --check

format: $(VENV)/dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/zeek_scripts.py

lint: $(VENV)/dev ## look for mistakes of style and worse
	$(BIN)/ruff check .

types: $(VENV)/dev ## check the types, as each of the three systems sees them
	$(BIN)/mypy $(CODE)
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(PORTABLE) plugins/darwin/zeek_agent_darwin
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/windows $(PORTABLE) plugins/windows/zeek_agent_windows

imports: $(VENV)/dev ## check who imports whom
	PYTHONPATH=plugins/darwin:plugins/windows $(BIN)/lint-imports --no-cache

generated: $(VENV)/dev ## check that generated files are current
	$(BIN)/python tools/generate.py --check

docs: $(VENV)/dev ## write the generated files anew
	$(BIN)/python tools/generate.py

bench: $(VENV)/dev ## run all benchmarks; each prints its budget and what it reached
	$(BIN)/python bench/run.py

wheels: $(VENV)/dev ## build the wheels of all distributions into dist/
	for one in . plugins/*/; do $(BIN)/python -m build --wheel --outdir dist $$one || exit 1; done

clean: ## remove what the other commands made
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	tools/make-venv $(PYTHON) $(VENV)

$(VENV)/agent: $(VENV)/bin/python pyproject.toml plugins/linux/pyproject.toml plugins/osquery/pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable . --editable $(PACK) --editable plugins/osquery
	@touch $@

$(VENV)/dev: $(VENV)/agent
	tools/system-packages
	$(BIN)/pip install --quiet --disable-pip-version-check -r tools/dev-requirements.txt
	@touch $@
