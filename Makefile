# Two commands do all the set-up on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SENTENCES = "Jordan joined Apple as a designer and has never been to Jordan." \
	"Mercedes drove a Mercedes from Florence to Austin." "Ford opened a factory near Jordan after the flood."
PIP = $(BIN)/pip --disable-pip-version-check

.PHONY: quickstart test test-process test-real test-gpu lint types install clean

# installed once; anew when what is to be installed has changed
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "pip>=25.1"
	$(PIP) install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

install: $(VENV)/.installed

quickstart: $(VENV)/.installed
	rm -rf demo
	$(BIN)/python -m lightning_clf.demo demo
	$(BIN)/lightning-clf fit --config quickstart.yaml
	$(BIN)/lightning-clf test --ckpt_path demo/run/best.ckpt
	$(BIN)/lightning-clf predict --model demo/run/best --input demo/data/test.jsonl --output demo/predictions.jsonl
	$(BIN)/python -m lightning_clf.demo score demo/data/test.jsonl demo/predictions.jsonl
	printf '%s\n' $(SENTENCES) > demo/sentences.txt
	$(BIN)/lightning-clf predict --model demo/run/best --input demo/sentences.txt --pretty

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not process and not real and not gpu"

test-process: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -m process

test-real: $(VENV)/.installed
	$(BIN)/pytest -m real

test-gpu: $(VENV)/.installed
	$(BIN)/pytest -m gpu

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo build dist
