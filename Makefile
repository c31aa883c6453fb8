# `make demo` and `make test` need only Python 3.11 to 3.13 and make: they set up .venv by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check coverage docs package install

demo: install
	$(BIN)/sightsound demo

# of the many processes that the tests start, each would compile the package anew without bytecode
test: check
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto --maxprocesses 4

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: install
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --cov --cov-report=
	-$(BIN)/coverage combine --quiet --append
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report --skip-covered

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

package: install
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/python tools/check_package.py

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	touch $@
