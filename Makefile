# The two commands of the README are `make chat` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Two at once, a file each: most tests wait for a child process or use one core.
IN_TWO := -n 2 --dist loadfile

.PHONY: chat test test-slow check format docs clean

chat: .venv/.installed
	$(BIN)/molt

test: .venv/.installed
	$(BIN)/python -m pytest $(IN_TWO)

test-slow: .venv/.installed
	$(BIN)/python -m pytest $(IN_TWO) -m "slow or not slow" --timeout 3600

check: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.installed
	$(BIN)/python -m molting_agent.reference > docs/cli.md
	$(BIN)/python docs/make_map.py

clean:
	rm -rf .venv build dist *.egg-info

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Molting needs Python 3.11 or newer; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@
