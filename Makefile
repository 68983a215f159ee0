# `make run` starts Viva; `make test` proves it. Both set up whatever is missing.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin
# one more than there are cores, because a browser waits; whole files, the long browser journeys first
WORKERS := $(shell $(PYTHON) -c "import os; print(os.cpu_count() + 1)")
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help run serve test sweep check format bench bank clean

run: .venv/run.stamp  ## start Viva in this terminal and print its address
	$(BIN)/streamlit run app.py --server.port $(PORT)

serve: .venv/run.stamp  ## start the production server: uvicorn, security headers
	$(BIN)/uvicorn app:app --host 127.0.0.1 --port $(PORT)

test: .venv/test.stamp  ## run every test, browser journeys included
	$(BIN)/python -m pytest $(PARALLEL)

sweep: .venv/test.stamp  ## the long version: every demo at every edge of every knob
	$(BIN)/python -m pytest -n auto -m sweep

check: .venv/test.stamp  ## lint, format, types, and the bank
	$(BIN)/ruff check .
	$(BIN)/oxlint --deny-warnings components
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m questions

format: .venv/test.stamp  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/test.stamp  ## measure against a minimal Streamlit app, as ratios
	$(BIN)/python -m benchmarks

bank: .venv/run.stamp  ## check the question files
	$(BIN)/python -m questions

help:  ## list the commands
	@grep -E "^[a-z]+:.*##" $(MAKEFILE_LIST) | sed -E "s/:.*## /\t/"

clean:  ## remove the environment and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test.stamp: requirements.txt requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m tests.browser.install
	touch .venv/run.stamp $@
