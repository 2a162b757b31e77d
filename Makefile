# Every target sets itself up first; a second run finds all in place and takes seconds.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: course book test lab bench reproduce gpu badges setup

course: setup          ## execute all notebooks in order, write their pages to build/course/
	$(BIN)/python -m musiclib course

book: setup            ## the notebooks as a static site, build/book/index.html; it opens from disk
	$(BIN)/python book/build.py

test: setup            ## style, tests, and every notebook under nbval, without a network
	@bash .ci/chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow or not slow" tests
	PYTHONPATH=$(CURDIR)/tests/offline OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

lab: setup             ## JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

bench: setup           ## ours against a plain version of the published way
	$(BIN)/python tests/benchmarks/bench.py

reproduce: setup       ## train every experiment that the ledger lacks; SYSTEM=musicvae, BUDGET=9m stops after nine minutes
	$(BIN)/python -m musiclib reproduce $(or $(SYSTEM),musicslots) $(if $(BUDGET),--budget $(BUDGET)) || [ $$? -eq 3 ]  # the budget ran out

gpu: setup             ## on a GPU: every notebook under nbval, then what the ledger lacks; PRESET=paper, BUDGET=9m; again and again
	$(BIN)/python -m musiclib gpu --preset $(or $(PRESET),colab) $(if $(BUDGET),--budget $(BUDGET)) || test $$? -eq 3

badges: setup          ## make badges REPO=owner/name
	$(BIN)/python -m musiclib badges $(REPO)

setup: .venv/ready
	@bash .ci/fluidsynth

.venv/ready: pyproject.toml
	@echo "Setting up .venv with torch and all else: minutes the first time, never again"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[course,test]"
	@touch $@
